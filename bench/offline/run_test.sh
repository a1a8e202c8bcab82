#!/usr/bin/env bash
# Runs run.sh on a kit of stand-ins: for Deno, the Vulkan loader, ldconfig, nvidia-smi and Python.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

mkdir -p "$folder"/{bin,kit,staged/{deno,vulkan,project/source}}
cat >"$folder/staged/deno/deno" <<'END'
#!/usr/bin/env bash
if [[ $* == --version ]]; then echo "deno stand-in" && exit; fi
echo "$*" >>"$LOG"
case $* in
  *self_test.ts*)
    echo "drivers ${VK_DRIVER_FILES:-} ${VK_ICD_FILENAMES:-}, layer out: ${NODEVICE_SELECT:-}" >>"$LOG"
    echo "engine webgpu (asked for by name): WebGPU on ${ADAPTER:-NVIDIA H200}"
    ;;
  *train.ts*)
    mkdir -p "$OUT"
    touch "$OUT"/{events.jsonl,checkpoint-9.safetensors,checkpoint-10.safetensors}
    trap 'exit 143' TERM
    for _ in {1..50}; do sleep 0.1; done
    ;;
esac
END
echo 'echo "	libGLX_nvidia.so.0 (libc6,x86-64) => /lib/libGLX_nvidia.so.0"' >"$folder/bin/ldconfig"
# shellcheck disable=SC2016 # expanded by the stand-ins
echo 'echo "NVIDIA H200"; exit "${SMI:-0}"' >"$folder/bin/nvidia-smi"
# shellcheck disable=SC2016
echo 'exit "${CUDA:-0}"' >"$folder/bin/python3"
sed -i '1i #!/usr/bin/env bash' "$folder"/bin/*
chmod +x "$folder"/bin/* "$folder/staged/deno/deno"
touch "$folder/staged/vulkan/libvulkan.so.1"
for bundle in deno vulkan project; do
  tar --create --directory "$folder/staged" "$bundle" | xz -0 >"$folder/kit/$bundle.tar.xz.000"
done
cp "$here/run.sh" "$folder/kit/"
(cd "$folder/kit" && sha256sum ./*.xz.000 | sed 's|\./||' >MANIFEST.sha256)
export LOG=$folder/log OUT=$folder/home/runs/resnet20-seed0 PATH=$folder/bin:$PATH
unset VK_DRIVER_FILES VK_ICD_FILENAMES

# Runs the script; compares its status, and has to find each of the other arguments in log or output.
expect() {
  local status=$1 found=0 text output
  shift
  : >"$LOG"
  output=$("$folder/kit/run.sh" --home "$folder/home" "${flags[@]}" 2>&1) || found=$?
  for text in "$@"; do
    if [[ $found != "$status" || $(<"$LOG")$output != *"$text"* ]]; then
      echo "expected status $status and '$text', found $found, '$(<"$LOG")' and '$output'" >&2
      exit 1
    fi
  done
}

mv "$folder/kit/vulkan.tar.xz.000" "$folder"
flags=(--seconds 0)
expect 3 "vulkan: 0 of 1 parts, missing vulkan.tar.xz.000"
mv "$folder/vulkan.tar.xz.000" "$folder/kit"

icd=$folder/home/nvidia_icd.json
# Where NVIDIA's driver is registered or at its place already, that stands.
if ! compgen -G "/etc/vulkan/icd.d/*nvidia*" >/dev/null &&
  ! compgen -G "/usr/share/vulkan/icd.d/*nvidia*" >/dev/null && [[ ! -d /usr/local/nvidia ]]; then
  expect 0 "drivers $icd $icd, layer out: 1"
  grep -q '"library_path": "libGLX_nvidia.so.0"' "$icd"
fi
expect 0 "step.ts --engine webgpu --peer cuda --evaluate 10000 --seconds 480 --arch resnet20" \
  "--evaluate 10000 --seconds 480 --arch resnet34 --size 224 --batch 32 --evaluate 0"
CUDA=1 expect 0 "--peer cpu --evaluate 2000"
# What nvidia-smi warns of stops nothing; what it sees and Vulkan does not, all.
SMI=14 expect 0 "step.ts"
slow="llvmpipe, a software adapter: it computes on the CPU, slowly"
ADAPTER=$slow expect 1 "Vulkan sees no GPU, nvidia-smi does"
if grep -q step.ts "$LOG"; then echo "timed without the GPU: $(<"$LOG")" >&2 && exit 1; fi
ADAPTER=$slow SMI=9 expect 0 "step.ts"

flags=(--seconds 1 --bench-seconds 0 --large-seconds 0)
expect 0 "train.ts --arch resnet20 --seed 0 --engine webgpu --out $OUT --dataset shapes10" \
  "stopped after 1 s" "checkpoint-10.safetensors" "run.tar.xz"
[[ ! -e $folder/home/results/checkpoint-9.safetensors ]]
echo "offline/run.sh: 8 cases pass"
