#!/usr/bin/env bash
# Trains and times on a Linux x86-64 machine without a network, from the parts that pack.ts made.
set -euo pipefail

usage() {
  cat <<'END'
run.sh [flags]

  --check            say which parts are there and which are missing, and do nothing else
  --home FOLDER      where all is unpacked and runs are kept; ./offline by default
  --parts FOLDER     where parts lie; beside this script by default
  --results FOLDER   where logs, reports and the checkpoint go; HOME/results by default
  --engine NAME      webgpu by default
  --arch NAME        the network that is timed and trained; resnet20 by default
  --seed N           0 by default
  --out FOLDER       the run's folder, with which a later call goes on; HOME/runs/ARCH-seedN by default
  --seconds N        how long to train at most; 0 for not at all; 300 by default
  --train-flags "…"  more flags for the training
  --bench-flags "…"  more flags for the benchmark
  --bench-seconds N  how long to time at most; 0 for not at all; 600 by default
  --large-seconds N  the same for resnet34 on images of 224, single and mixed; 600 by default
  --restore FOLDER   results of another machine: its run is gone on with, if --out is not there yet

Parts that are there are taken into HOME, so that they may come and go one by one; once all were
there it runs. Exit status: 0; 1 where something failed; 2 for a wrong flag; 3 where parts are missing.
END
}

# The tail of the arguments is the message.
stop() {
  local status=$1
  shift
  echo "error: $*" >&2
  exit "$status"
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=$PWD/offline parts=$here results="" check=false
engine=webgpu arch=resnet20 seed=0 out="" seconds=300 restore=""
train_flags=() bench_flags=() bench_seconds=600 large_seconds=600
while (($# > 0)); do
  case $1 in
    --check) check=true && shift && continue ;;
    --help) usage && exit 0 ;;
    --*) (($# > 1)) || stop 2 "$1 needs a value, or is no flag; see --help" ;;
  esac
  case $1 in
    --home) mkdir -p "$2" && home=$(cd "$2" && pwd) ;;
    --parts) parts=$(cd "$2" && pwd) ;;
    --results) results=$2 ;;
    --engine) engine=$2 ;;
    --arch) arch=$2 ;;
    --seed) seed=$2 ;;
    --out) out=$2 ;;
    --seconds) seconds=$2 ;;
    --train-flags) read -ra train_flags <<<"$2" ;;
    --bench-flags) read -ra bench_flags <<<"$2" ;;
    --bench-seconds) bench_seconds=$2 ;;
    --large-seconds) large_seconds=$2 ;;
    --restore) restore=$2 ;;
    *) stop 2 "no flag $1; see --help" ;;
  esac
  shift 2
done
for number in "$seconds" "$bench_seconds" "$large_seconds"; do
  [[ $number =~ ^[0-9]+$ ]] || stop 2 "--seconds, --bench-seconds and --large-seconds must be whole, found $number"
done
manifest=$here/MANIFEST.sha256
[[ -f $manifest ]] || stop 1 "$manifest is missing: it must lie beside this script"

# --- The parts ---------------------------------------------------------------

# Bare machines have Python more often than xz.
compress() { if command -v xz >/dev/null; then xz -c; else through_python lzma.LZMACompressor compress; fi; }
decompress() { if command -v xz >/dev/null; then xz -dc; else through_python lzma.LZMADecompressor decompress; fi; }
through_python() {
  python3 -c "
import lzma, sys
coder = $1()
while block := sys.stdin.buffer.read(1 << 20):
    sys.stdout.buffer.write(coder.$2(block))
sys.stdout.buffer.write(coder.flush() if hasattr(coder, 'flush') else b'')"
}

bundles() { sed -E 's/^[0-9a-f]+  (.+)\.tar\.xz\.[0-9]+$/\1/' "$manifest" | uniq; }
lines_of() { grep -E "^[0-9a-f]+  $1\.tar\.xz\.[0-9]+$" "$manifest"; }
stamp_of() { lines_of "$1" | sha256sum | cut -d' ' -f1; }
unpacked() { [[ -f $home/$1.stamp && $(<"$home/$1.stamp") == "$(stamp_of "$1")" ]]; }

# Prints the path of a part that is there and whole.
find_part() {
  local sum=$1 name=$2 folder
  for folder in "$home/parts" "$parts"; do
    [[ -f $folder/$name ]] || continue
    if [[ $(sha256sum "$folder/$name" | cut -d' ' -f1) == "$sum" ]]; then
      echo "$folder/$name"
      return
    fi
    echo "$folder/$name is damaged: its checksum is not the manifest's" >&2
  done
  return 1
}

# Says what there is of each bundle; takes it in unless told to check alone. Fails if parts are missing.
take_in() {
  local bundle sum name path missing=0
  for bundle in $(bundles); do
    if unpacked "$bundle"; then
      echo "$bundle: unpacked"
      continue
    fi
    local found=() absent=()
    while read -r sum name; do
      if path=$(find_part "$sum" "$name"); then found+=("$path"); else absent+=("$name"); fi
    done < <(lines_of "$bundle")
    if ((${#absent[@]} > 0)); then
      missing=1
      echo "$bundle: ${#found[@]} of $((${#found[@]} + ${#absent[@]})) parts, missing ${absent[*]}"
      if ! $check; then keep ${found[@]+"${found[@]}"}; fi
    elif $check; then
      echo "$bundle: complete"
    else
      unpack "$bundle" "${found[@]}"
    fi
  done
  return "$missing"
}

keep() {
  local path
  mkdir -p "$home/parts"
  for path in "$@"; do
    [[ $path == "$home/parts/"* ]] || cp "$path" "$home/parts/"
  done
}

unpack() {
  local bundle=$1 fresh=$home/$1.new
  shift
  rm -rf "$fresh" && mkdir -p "$fresh"
  cat "$@" | decompress | tar --extract --directory "$fresh" || stop 1 "$bundle could not be unpacked"
  { rm -rf "${home:?}/$bundle" && mv "$fresh/$bundle" "$home/$bundle" && rmdir "$fresh"; } ||
    stop 1 "$bundle could not be moved into $home"
  stamp_of "$bundle" >"$home/$bundle.stamp"
  rm -f "$home/parts/$bundle.tar.xz."*
  echo "$bundle: unpacked now"
}

take_in || {
  $check && exit 3
  stop 3 "parts are missing; bring them and call this again"
}
if $check; then exit 0; fi

# --- The machine -------------------------------------------------------------

# Links libraries that the system lacks, and names NVIDIA's driver where it is there and not registered:
# containers get its libraries without the file that says so, or beside Mesa's, which would be taken.
set_up_vulkan() {
  local known library lacking=$home/libraries icd=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
  known=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null || true)
  rm -rf "$lacking" && mkdir -p "$lacking"
  for library in "$home"/vulkan/*; do
    grep -qF "$(basename "$library") " <<<"$known" || ln -s "$library" "$lacking/"
  done
  if compgen -G "$lacking/*" >/dev/null; then
    export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$lacking
  fi
  if [[ -z ${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-} ]] &&
    ! compgen -G "/etc/vulkan/icd.d/*nvidia*.json" >/dev/null &&
    ! compgen -G "/usr/share/vulkan/icd.d/*nvidia*.json" >/dev/null; then
    if [[ ! -f $icd ]]; then
      icd=""
      if grep -qF "libGLX_nvidia.so.0 " <<<"$known"; then
        icd=$home/nvidia_icd.json
        printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s", "api_version": "1.3.0"}}\n' \
          libGLX_nvidia.so.0 >"$icd"
      fi
    fi
    # Loaders before 1.3.207 know the second name alone.
    if [[ -n $icd ]]; then export VK_DRIVER_FILES=$icd VK_ICD_FILENAMES=$icd; fi
  fi
  echo "Vulkan: libraries brought along: $(find "$lacking" -type l | wc -l)," \
    "driver ${VK_DRIVER_FILES:-as registered}"
}

deno() { "$home/deno/deno" "$@"; }
sees_cuda() { python3 -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; }

out=${out:-$home/runs/$arch-seed$seed}
results=${results:-$home/results}
mkdir -p "$results" "$(dirname "$out")"
out=$(cd "$(dirname "$out")" && pwd)/$(basename "$out")
results=$(cd "$results" && pwd)
if [[ -n $restore ]]; then restore=$(cd "$restore" && pwd); fi
# Mesa's layer that orders devices loads X11's libraries; the tasks leave it out too.
export DENO_DIR=$home/project/packages DENO_NO_UPDATE_CHECK=1 NO_COLOR=1 NODEVICE_SELECT=1
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-$home} # drivers complain without one
cd "$home/project/source"
failed=()

set_up_vulkan >"$home/vulkan.log" # not in the pipe below, whose exports would end with it
{
  uname -srm
  nproc
  if command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || true # it warns
  fi
  deno --version
  cat "$home/vulkan.log"
} 2>&1 | tee "$results/machine.log"
deno run -q --cached-only bench/offline/self_test.ts "$engine" 2>&1 | tee -a "$results/machine.log" ||
  stop 1 "the engine $engine does not pass its self-test here; see $results/machine.log"

if grep -q "^engine webgpu .* a software adapter: " "$results/machine.log" &&
  nvidia-smi --list-gpus >/dev/null 2>&1; then
  stop 1 "Vulkan sees no GPU, nvidia-smi does: a container needs NVIDIA_DRIVER_CAPABILITIES with graphics"
fi

# --- The benchmark -----------------------------------------------------------

# Its log, its seconds and its flags.
time_steps() {
  local log=$results/$1 limit=$2 peer=cpu images=2000
  shift 2
  ((limit > 0)) || return 0
  # Deno waits for a GPU in sleeps of 10 ms: more images for one of them.
  if sees_cuda; then peer=cuda images=10000; fi
  # Deno lets a program with LD_LIBRARY_PATH start others only where it may start any.
  timeout --kill-after=10 "$limit" "$home/deno/deno" run -q --cached-only --allow-run \
    bench/step.ts --engine "$engine" --peer "$peer" --evaluate "$images" \
    --seconds "$(((limit * 4 + 4) / 5))" "$@" 2>&1 | tee "$log" || failed+=("${log##*/}")
}

time_steps bench.log "$bench_seconds" --arch "$arch" ${bench_flags[@]+"${bench_flags[@]}"}
large=(--arch resnet34 --size 224 --batch 32 --evaluate 0 --peer-mode "eager,graphs")
if [[ $engine == webgpu ]]; then large+=(--precision "single,mixed"); fi
time_steps bench-224.log "$large_seconds" "${large[@]}"

# --- The training ------------------------------------------------------------

if [[ -n $restore && ! -e $out ]]; then
  mkdir -p "$out"
  decompress <"$restore/run.tar.xz" | tar --extract --directory "$out" --strip-components=1
  cp "$restore"/checkpoint-*.safetensors "$out/"
  echo "restored $out from $restore"
fi
images=(--dataset shapes10)
if [[ -d $home/data ]]; then images=(--data "$home/data"); fi

weights=$out/weights.safetensors # there once a run is finished
# Native code is loaded, and the environment read, for TensorFlow's engines alone.
train=train evaluate=evaluate
case $engine in tensorflow*) train=tensorflow evaluate=tensorflow ;; esac
if [[ -f $weights ]]; then
  echo "$out is finished; for another training choose another --seed or --out"
elif ((seconds > 0)); then
  status=0
  # A first TERM makes the training save its state; what is in ${PIPESTATUS[0]} is timeout's answer.
  timeout --signal=TERM --kill-after=60 "$seconds" "$home/deno/deno" run -q --cached-only -P="$train" \
    cli/train.ts --arch "$arch" --seed "$seed" --engine "$engine" --out "$out" "${images[@]}" \
    ${train_flags[@]+"${train_flags[@]}"} 2>&1 | tee -a "$results/train.log" || status=${PIPESTATUS[0]}
  case $status in
    0)
      if [[ -f $weights ]]; then # not there after --stop-after
        deno run -q --cached-only -P="$evaluate" cli/evaluate.ts --engine "$engine" "${images[@]}" \
          --weights "$weights" 2>&1 | tee "$results/evaluate.log" || failed+=(evaluation)
      fi
      ;;
    124) echo "stopped after $seconds s; the same call goes on" ;;
    *) failed+=("training (status $status)") ;;
  esac
fi

# --- The results -------------------------------------------------------------

# At most eight files: five logs, the report, the newest checkpoint, and the rest of the run.
if [[ -d $out ]]; then
  tar --create --directory "$(dirname "$out")" --exclude='checkpoint-*' --exclude=run.lock \
    "$(basename "$out")" | compress >"$results/run.tar.xz"
  rm -f "$results"/checkpoint-*.safetensors
  newest=$(find "$out" -name 'checkpoint-*.safetensors' | sort -V | tail -n 1)
  if [[ -n $newest ]]; then cp "$newest" "$results/"; fi
  if [[ -f $out/report.html ]]; then cp "$out/report.html" "$results/"; fi
fi
find "$results" -type f -size +16000k -exec echo "larger than 16 MB:" {} \;
ls -l "$results"
if ((${#failed[@]} > 0)); then stop 1 "failed: ${failed[*]}"; fi
