/**
 * ImageNet's 1,000 classes in the order of networks' outputs: by WNID, as folders sort.
 *
 * Sources: the WNIDs are WordNet's, sorted, by the names of the 1,000 files of
 * EliSchwartz/imagenet-sample-images; the names are those of torchvision 0.29 (`models/_meta.py`), in
 * its order, which is under the licence below. The two were held against each other: the files' own
 * words are torchvision's, but for two of which it made others to tell them from their namesakes.
 *
 * BSD 3-Clause License. Copyright (c) Soumith Chintala 2016, all rights reserved. Redistribution
 * and use in source and binary forms, with or without modification, are permitted provided that the
 * following conditions are met: redistributions of source code must retain the above copyright
 * notice, this list of conditions and the following disclaimer; redistributions in binary form must
 * reproduce them in the documentation and/or other materials provided with the distribution; neither
 * the name of the copyright holder nor the names of its contributors may be used to endorse or
 * promote products derived from this software without specific prior written permission. This
 * software is provided by the copyright holders and contributors "as is" and any express or implied
 * warranties, including, but not limited to, the implied warranties of merchantability and fitness
 * for a particular purpose are disclaimed. In no event shall the copyright holder or contributors
 * be liable for any direct, indirect, incidental, special, exemplary, or consequential damages
 * (including, but not limited to, procurement of substitute goods or services; loss of use, data, or
 * profits; or business interruption) however caused and on any theory of liability, whether in
 * contract, strict liability, or tort (including negligence or otherwise) arising in any way out of
 * the use of this software, even if advised of the possibility of such damage.
 */

/** A WNID's digits and the class's name, a line a class. */
const LINES = `01440764 tench
01443537 goldfish
01484850 great white shark
01491361 tiger shark
01494475 hammerhead
01496331 electric ray
01498041 stingray
01514668 cock
01514859 hen
01518878 ostrich
01530575 brambling
01531178 goldfinch
01532829 house finch
01534433 junco
01537544 indigo bunting
01558993 robin
01560419 bulbul
01580077 jay
01582220 magpie
01592084 chickadee
01601694 water ouzel
01608432 kite
01614925 bald eagle
01616318 vulture
01622779 great grey owl
01629819 European fire salamander
01630670 common newt
01631663 eft
01632458 spotted salamander
01632777 axolotl
01641577 bullfrog
01644373 tree frog
01644900 tailed frog
01664065 loggerhead
01665541 leatherback turtle
01667114 mud turtle
01667778 terrapin
01669191 box turtle
01675722 banded gecko
01677366 common iguana
01682714 American chameleon
01685808 whiptail
01687978 agama
01688243 frilled lizard
01689811 alligator lizard
01692333 Gila monster
01693334 green lizard
01694178 African chameleon
01695060 Komodo dragon
01697457 African crocodile
01698640 American alligator
01704323 triceratops
01728572 thunder snake
01728920 ringneck snake
01729322 hognose snake
01729977 green snake
01734418 king snake
01735189 garter snake
01737021 water snake
01739381 vine snake
01740131 night snake
01742172 boa constrictor
01744401 rock python
01748264 Indian cobra
01749939 green mamba
01751748 sea snake
01753488 horned viper
01755581 diamondback
01756291 sidewinder
01768244 trilobite
01770081 harvestman
01770393 scorpion
01773157 black and gold garden spider
01773549 barn spider
01773797 garden spider
01774384 black widow
01774750 tarantula
01775062 wolf spider
01776313 tick
01784675 centipede
01795545 black grouse
01796340 ptarmigan
01797886 ruffed grouse
01798484 prairie chicken
01806143 peacock
01806567 quail
01807496 partridge
01817953 African grey
01818515 macaw
01819313 sulphur-crested cockatoo
01820546 lorikeet
01824575 coucal
01828970 bee eater
01829413 hornbill
01833805 hummingbird
01843065 jacamar
01843383 toucan
01847000 drake
01855032 red-breasted merganser
01855672 goose
01860187 black swan
01871265 tusker
01872401 echidna
01873310 platypus
01877812 wallaby
01882714 koala
01883070 wombat
01910747 jellyfish
01914609 sea anemone
01917289 brain coral
01924916 flatworm
01930112 nematode
01943899 conch
01944390 snail
01945685 slug
01950731 sea slug
01955084 chiton
01968897 chambered nautilus
01978287 Dungeness crab
01978455 rock crab
01980166 fiddler crab
01981276 king crab
01983481 American lobster
01984695 spiny lobster
01985128 crayfish
01986214 hermit crab
01990800 isopod
02002556 white stork
02002724 black stork
02006656 spoonbill
02007558 flamingo
02009229 little blue heron
02009912 American egret
02011460 bittern
02012849 crane bird
02013706 limpkin
02017213 European gallinule
02018207 American coot
02018795 bustard
02025239 ruddy turnstone
02027492 red-backed sandpiper
02028035 redshank
02033041 dowitcher
02037110 oystercatcher
02051845 pelican
02056570 king penguin
02058221 albatross
02066245 grey whale
02071294 killer whale
02074367 dugong
02077923 sea lion
02085620 Chihuahua
02085782 Japanese spaniel
02085936 Maltese dog
02086079 Pekinese
02086240 Shih-Tzu
02086646 Blenheim spaniel
02086910 papillon
02087046 toy terrier
02087394 Rhodesian ridgeback
02088094 Afghan hound
02088238 basset
02088364 beagle
02088466 bloodhound
02088632 bluetick
02089078 black-and-tan coonhound
02089867 Walker hound
02089973 English foxhound
02090379 redbone
02090622 borzoi
02090721 Irish wolfhound
02091032 Italian greyhound
02091134 whippet
02091244 Ibizan hound
02091467 Norwegian elkhound
02091635 otterhound
02091831 Saluki
02092002 Scottish deerhound
02092339 Weimaraner
02093256 Staffordshire bullterrier
02093428 American Staffordshire terrier
02093647 Bedlington terrier
02093754 Border terrier
02093859 Kerry blue terrier
02093991 Irish terrier
02094114 Norfolk terrier
02094258 Norwich terrier
02094433 Yorkshire terrier
02095314 wire-haired fox terrier
02095570 Lakeland terrier
02095889 Sealyham terrier
02096051 Airedale
02096177 cairn
02096294 Australian terrier
02096437 Dandie Dinmont
02096585 Boston bull
02097047 miniature schnauzer
02097130 giant schnauzer
02097209 standard schnauzer
02097298 Scotch terrier
02097474 Tibetan terrier
02097658 silky terrier
02098105 soft-coated wheaten terrier
02098286 West Highland white terrier
02098413 Lhasa
02099267 flat-coated retriever
02099429 curly-coated retriever
02099601 golden retriever
02099712 Labrador retriever
02099849 Chesapeake Bay retriever
02100236 German short-haired pointer
02100583 vizsla
02100735 English setter
02100877 Irish setter
02101006 Gordon setter
02101388 Brittany spaniel
02101556 clumber
02102040 English springer
02102177 Welsh springer spaniel
02102318 cocker spaniel
02102480 Sussex spaniel
02102973 Irish water spaniel
02104029 kuvasz
02104365 schipperke
02105056 groenendael
02105162 malinois
02105251 briard
02105412 kelpie
02105505 komondor
02105641 Old English sheepdog
02105855 Shetland sheepdog
02106030 collie
02106166 Border collie
02106382 Bouvier des Flandres
02106550 Rottweiler
02106662 German shepherd
02107142 Doberman
02107312 miniature pinscher
02107574 Greater Swiss Mountain dog
02107683 Bernese mountain dog
02107908 Appenzeller
02108000 EntleBucher
02108089 boxer
02108422 bull mastiff
02108551 Tibetan mastiff
02108915 French bulldog
02109047 Great Dane
02109525 Saint Bernard
02109961 Eskimo dog
02110063 malamute
02110185 Siberian husky
02110341 dalmatian
02110627 affenpinscher
02110806 basenji
02110958 pug
02111129 Leonberg
02111277 Newfoundland
02111500 Great Pyrenees
02111889 Samoyed
02112018 Pomeranian
02112137 chow
02112350 keeshond
02112706 Brabancon griffon
02113023 Pembroke
02113186 Cardigan
02113624 toy poodle
02113712 miniature poodle
02113799 standard poodle
02113978 Mexican hairless
02114367 timber wolf
02114548 white wolf
02114712 red wolf
02114855 coyote
02115641 dingo
02115913 dhole
02116738 African hunting dog
02117135 hyena
02119022 red fox
02119789 kit fox
02120079 Arctic fox
02120505 grey fox
02123045 tabby
02123159 tiger cat
02123394 Persian cat
02123597 Siamese cat
02124075 Egyptian cat
02125311 cougar
02127052 lynx
02128385 leopard
02128757 snow leopard
02128925 jaguar
02129165 lion
02129604 tiger
02130308 cheetah
02132136 brown bear
02133161 American black bear
02134084 ice bear
02134418 sloth bear
02137549 mongoose
02138441 meerkat
02165105 tiger beetle
02165456 ladybug
02167151 ground beetle
02168699 long-horned beetle
02169497 leaf beetle
02172182 dung beetle
02174001 rhinoceros beetle
02177972 weevil
02190166 fly
02206856 bee
02219486 ant
02226429 grasshopper
02229544 cricket
02231487 walking stick
02233338 cockroach
02236044 mantis
02256656 cicada
02259212 leafhopper
02264363 lacewing
02268443 dragonfly
02268853 damselfly
02276258 admiral
02277742 ringlet
02279972 monarch
02280649 cabbage butterfly
02281406 sulphur butterfly
02281787 lycaenid
02317335 starfish
02319095 sea urchin
02321529 sea cucumber
02325366 wood rabbit
02326432 hare
02328150 Angora
02342885 hamster
02346627 porcupine
02356798 fox squirrel
02361337 marmot
02363005 beaver
02364673 guinea pig
02389026 sorrel
02391049 zebra
02395406 hog
02396427 wild boar
02397096 warthog
02398521 hippopotamus
02403003 ox
02408429 water buffalo
02410509 bison
02412080 ram
02415577 bighorn
02417914 ibex
02422106 hartebeest
02422699 impala
02423022 gazelle
02437312 Arabian camel
02437616 llama
02441942 weasel
02442845 mink
02443114 polecat
02443484 black-footed ferret
02444819 otter
02445715 skunk
02447366 badger
02454379 armadillo
02457408 three-toed sloth
02480495 orangutan
02480855 gorilla
02481823 chimpanzee
02483362 gibbon
02483708 siamang
02484975 guenon
02486261 patas
02486410 baboon
02487347 macaque
02488291 langur
02488702 colobus
02489166 proboscis monkey
02490219 marmoset
02492035 capuchin
02492660 howler monkey
02493509 titi
02493793 spider monkey
02494079 squirrel monkey
02497673 Madagascar cat
02500267 indri
02504013 Indian elephant
02504458 African elephant
02509815 lesser panda
02510455 giant panda
02514041 barracouta
02526121 eel
02536864 coho
02606052 rock beauty
02607072 anemone fish
02640242 sturgeon
02641379 gar
02643566 lionfish
02655020 puffer
02666196 abacus
02667093 abaya
02669723 academic gown
02672831 accordion
02676566 acoustic guitar
02687172 aircraft carrier
02690373 airliner
02692877 airship
02699494 altar
02701002 ambulance
02704792 amphibian
02708093 analog clock
02727426 apiary
02730930 apron
02747177 ashcan
02749479 assault rifle
02769748 backpack
02776631 bakery
02777292 balance beam
02782093 balloon
02783161 ballpoint
02786058 Band Aid
02787622 banjo
02788148 bannister
02790996 barbell
02791124 barber chair
02791270 barbershop
02793495 barn
02794156 barometer
02795169 barrel
02797295 barrow
02799071 baseball
02802426 basketball
02804414 bassinet
02804610 bassoon
02807133 bathing cap
02808304 bath towel
02808440 bathtub
02814533 beach wagon
02814860 beacon
02815834 beaker
02817516 bearskin
02823428 beer bottle
02823750 beer glass
02825657 bell cote
02834397 bib
02835271 bicycle-built-for-two
02837789 bikini
02840245 binder
02841315 binoculars
02843684 birdhouse
02859443 boathouse
02860847 bobsled
02865351 bolo tie
02869837 bonnet
02870880 bookcase
02871525 bookshop
02877765 bottlecap
02879718 bow
02883205 bow tie
02892201 brass
02892767 brassiere
02894605 breakwater
02895154 breastplate
02906734 broom
02909870 bucket
02910353 buckle
02916936 bulletproof vest
02917067 bullet train
02927161 butcher shop
02930766 cab
02939185 caldron
02948072 candle
02950826 cannon
02951358 canoe
02951585 can opener
02963159 cardigan
02965783 car mirror
02966193 carousel
02966687 carpenter's kit
02971356 carton
02974003 car wheel
02977058 cash machine
02978881 cassette
02979186 cassette player
02980441 castle
02981792 catamaran
02988304 CD player
02992211 cello
02992529 cellular telephone
02999410 chain
03000134 chainlink fence
03000247 chain mail
03000684 chain saw
03014705 chest
03016953 chiffonier
03017168 chime
03018349 china cabinet
03026506 Christmas stocking
03028079 church
03032252 cinema
03041632 cleaver
03042490 cliff dwelling
03045698 cloak
03047690 clog
03062245 cocktail shaker
03063599 coffee mug
03063689 coffeepot
03065424 coil
03075370 combination lock
03085013 computer keyboard
03089624 confectionery
03095699 container ship
03100240 convertible
03109150 corkscrew
03110669 cornet
03124043 cowboy boot
03124170 cowboy hat
03125729 cradle
03126707 crane
03127747 crash helmet
03127925 crate
03131574 crib
03133878 Crock Pot
03134739 croquet ball
03141823 crutch
03146219 cuirass
03160309 dam
03179701 desk
03180011 desktop computer
03187595 dial telephone
03188531 diaper
03196217 digital clock
03197337 digital watch
03201208 dining table
03207743 dishrag
03207941 dishwasher
03208938 disk brake
03216828 dock
03218198 dogsled
03220513 dome
03223299 doormat
03240683 drilling platform
03249569 drum
03250847 drumstick
03255030 dumbbell
03259280 Dutch oven
03271574 electric fan
03272010 electric guitar
03272562 electric locomotive
03290653 entertainment center
03291819 envelope
03297495 espresso maker
03314780 face powder
03325584 feather boa
03337140 file
03344393 fireboat
03345487 fire engine
03347037 fire screen
03355925 flagpole
03372029 flute
03376595 folding chair
03379051 football helmet
03384352 forklift
03388043 fountain
03388183 fountain pen
03388549 four-poster
03393912 freight car
03394916 French horn
03400231 frying pan
03404251 fur coat
03417042 garbage truck
03424325 gasmask
03425413 gas pump
03443371 goblet
03444034 go-kart
03445777 golf ball
03445924 golfcart
03447447 gondola
03447721 gong
03450230 gown
03452741 grand piano
03457902 greenhouse
03459775 grille
03461385 grocery store
03467068 guillotine
03476684 hair slide
03476991 hair spray
03478589 half track
03481172 hammer
03482405 hamper
03483316 hand blower
03485407 hand-held computer
03485794 handkerchief
03492542 hard disc
03494278 harmonica
03495258 harp
03496892 harvester
03498962 hatchet
03527444 holster
03529860 home theater
03530642 honeycomb
03532672 hook
03534580 hoopskirt
03535780 horizontal bar
03538406 horse cart
03544143 hourglass
03584254 iPod
03584829 iron
03590841 jack-o'-lantern
03594734 jean
03594945 jeep
03595614 jersey
03598930 jigsaw puzzle
03599486 jinrikisha
03602883 joystick
03617480 kimono
03623198 knee pad
03627232 knot
03630383 lab coat
03633091 ladle
03637318 lampshade
03642806 laptop
03649909 lawn mower
03657121 lens cap
03658185 letter opener
03661043 library
03662601 lifeboat
03666591 lighter
03670208 limousine
03673027 liner
03676483 lipstick
03680355 Loafer
03690938 lotion
03691459 loudspeaker
03692522 loupe
03697007 lumbermill
03706229 magnetic compass
03709823 mailbag
03710193 mailbox
03710637 maillot
03710721 maillot tank suit
03717622 manhole cover
03720891 maraca
03721384 marimba
03724870 mask
03729826 matchstick
03733131 maypole
03733281 maze
03733805 measuring cup
03742115 medicine chest
03743016 megalith
03759954 microphone
03761084 microwave
03763968 military uniform
03764736 milk can
03769881 minibus
03770439 miniskirt
03770679 minivan
03773504 missile
03775071 mitten
03775546 mixing bowl
03776460 mobile home
03777568 Model T
03777754 modem
03781244 monastery
03782006 monitor
03785016 moped
03786901 mortar
03787032 mortarboard
03788195 mosque
03788365 mosquito net
03791053 motor scooter
03792782 mountain bike
03792972 mountain tent
03793489 mouse
03794056 mousetrap
03796401 moving van
03803284 muzzle
03804744 nail
03814639 neck brace
03814906 necklace
03825788 nipple
03832673 notebook
03837869 obelisk
03838899 oboe
03840681 ocarina
03841143 odometer
03843555 oil filter
03854065 organ
03857828 oscilloscope
03866082 overskirt
03868242 oxcart
03868863 oxygen mask
03871628 packet
03873416 paddle
03874293 paddlewheel
03874599 padlock
03876231 paintbrush
03877472 pajama
03877845 palace
03884397 panpipe
03887697 paper towel
03888257 parachute
03888605 parallel bars
03891251 park bench
03891332 parking meter
03895866 passenger car
03899768 patio
03902125 pay-phone
03903868 pedestal
03908618 pencil box
03908714 pencil sharpener
03916031 perfume
03920288 Petri dish
03924679 photocopier
03929660 pick
03929855 pickelhaube
03930313 picket fence
03930630 pickup
03933933 pier
03935335 piggy bank
03937543 pill bottle
03938244 pillow
03942813 ping-pong ball
03944341 pinwheel
03947888 pirate
03950228 pitcher
03954731 plane
03956157 planetarium
03958227 plastic bag
03961711 plate rack
03967562 plow
03970156 plunger
03976467 Polaroid camera
03976657 pole
03977966 police van
03980874 poncho
03982430 pool table
03983396 pop bottle
03991062 pot
03992509 potter's wheel
03995372 power drill
03998194 prayer rug
04004767 printer
04005630 prison
04008634 projectile
04009552 projector
04019541 puck
04023962 punching bag
04026417 purse
04033901 quill
04033995 quilt
04037443 racer
04039381 racket
04040759 radiator
04041544 radio
04044716 radio telescope
04049303 rain barrel
04065272 recreational vehicle
04067472 reel
04069434 reflex camera
04070727 refrigerator
04074963 remote control
04081281 restaurant
04086273 revolver
04090263 rifle
04099969 rocking chair
04111531 rotisserie
04116512 rubber eraser
04118538 rugby ball
04118776 rule
04120489 running shoe
04125021 safe
04127249 safety pin
04131690 saltshaker
04133789 sandal
04136333 sarong
04141076 sax
04141327 scabbard
04141975 scale
04146614 school bus
04147183 schooner
04149813 scoreboard
04152593 screen
04153751 screw
04154565 screwdriver
04162706 seat belt
04179913 sewing machine
04192698 shield
04200800 shoe shop
04201297 shoji
04204238 shopping basket
04204347 shopping cart
04208210 shovel
04209133 shower cap
04209239 shower curtain
04228054 ski
04229816 ski mask
04235860 sleeping bag
04238763 slide rule
04239074 sliding door
04243546 slot
04251144 snorkel
04252077 snowmobile
04252225 snowplow
04254120 soap dispenser
04254680 soccer ball
04254777 sock
04258138 solar dish
04259630 sombrero
04263257 soup bowl
04264628 space bar
04265275 space heater
04266014 space shuttle
04270147 spatula
04273569 speedboat
04275548 spider web
04277352 spindle
04285008 sports car
04286575 spotlight
04296562 stage
04310018 steam locomotive
04311004 steel arch bridge
04311174 steel drum
04317175 stethoscope
04325704 stole
04326547 stone wall
04328186 stopwatch
04330267 stove
04332243 strainer
04335435 streetcar
04336792 stretcher
04344873 studio couch
04346328 stupa
04347754 submarine
04350905 suit
04355338 sundial
04355933 sunglass
04356056 sunglasses
04357314 sunscreen
04366367 suspension bridge
04367480 swab
04370456 sweatshirt
04371430 swimming trunks
04371774 swing
04372370 switch
04376876 syringe
04380533 table lamp
04389033 tank
04392985 tape player
04398044 teapot
04399382 teddy
04404412 television
04409515 tennis ball
04417672 thatch
04418357 theater curtain
04423845 thimble
04428191 thresher
04429376 throne
04435653 tile roof
04442312 toaster
04443257 tobacco shop
04447861 toilet seat
04456115 torch
04458633 totem pole
04461696 tow truck
04462240 toyshop
04465501 tractor
04467665 trailer truck
04476259 tray
04479046 trench coat
04482393 tricycle
04483307 trimaran
04485082 tripod
04486054 triumphal arch
04487081 trolleybus
04487394 trombone
04493381 tub
04501370 turnstile
04505470 typewriter keyboard
04507155 umbrella
04509417 unicycle
04515003 upright
04517823 vacuum
04522168 vase
04523525 vault
04525038 velvet
04525305 vending machine
04532106 vestment
04532670 viaduct
04536866 violin
04540053 volleyball
04542943 waffle iron
04548280 wall clock
04548362 wallet
04550184 wardrobe
04552348 warplane
04553703 washbasin
04554684 washer
04557648 water bottle
04560804 water jug
04562935 water tower
04579145 whiskey jug
04579432 whistle
04584207 wig
04589890 window screen
04590129 window shade
04591157 Windsor tie
04591713 wine bottle
04592741 wing
04596742 wok
04597913 wooden spoon
04599235 wool
04604644 worm fence
04606251 wreck
04612504 yawl
04613696 yurt
06359193 web site
06596364 comic book
06785654 crossword puzzle
06794110 street sign
06874185 traffic light
07248320 book jacket
07565083 menu
07579787 plate
07583066 guacamole
07584110 consomme
07590611 hot pot
07613480 trifle
07614500 ice cream
07615774 ice lolly
07684084 French loaf
07693725 bagel
07695742 pretzel
07697313 cheeseburger
07697537 hotdog
07711569 mashed potato
07714571 head cabbage
07714990 broccoli
07715103 cauliflower
07716358 zucchini
07716906 spaghetti squash
07717410 acorn squash
07717556 butternut squash
07718472 cucumber
07718747 artichoke
07720875 bell pepper
07730033 cardoon
07734744 mushroom
07742313 Granny Smith
07745940 strawberry
07747607 orange
07749582 lemon
07753113 fig
07753275 pineapple
07753592 banana
07754684 jackfruit
07760859 custard apple
07768694 pomegranate
07802026 hay
07831146 carbonara
07836838 chocolate sauce
07860988 dough
07871810 meat loaf
07873807 pizza
07875152 potpie
07880968 burrito
07892512 red wine
07920052 espresso
07930864 cup
07932039 eggnog
09193705 alp
09229709 bubble
09246464 cliff
09256479 coral reef
09288635 geyser
09332890 lakeside
09399592 promontory
09421951 sandbar
09428293 seashore
09468604 valley
09472597 volcano
09835506 ballplayer
10148035 groom
10565667 scuba diver
11879895 rapeseed
11939491 daisy
12057211 yellow lady's slipper
12144580 corn
12267677 acorn
12620546 hip
12768682 buckeye
12985857 coral fungus
12998815 agaric
13037406 gyromitra
13040303 stinkhorn
13044778 earthstar
13052670 hen-of-the-woods
13054560 bolete
13133613 ear
15075141 toilet tissue`;

/** One class. */
export interface ImagenetClass {
  /** Its folder: WordNet's number of the noun. */
  readonly wnid: string;
  /** In English. */
  readonly name: string;
}

/** The classes, in the order of networks' outputs. */
export const IMAGENET_CLASSES: readonly ImagenetClass[] = LINES.split("\n").map((line) => ({
  wnid: `n${line.slice(0, 8)}`,
  name: line.slice(9),
}));

const NAMES: ReadonlyMap<string, string> = new Map(
  IMAGENET_CLASSES.map(({ wnid, name }) => [wnid, name]),
);

/**
 * A class as people call it.
 *
 * @param folder The name of its folder.
 * @returns The WNID's name and the WNID; the folder itself where it is none of ImageNet's.
 *
 * @example
 * ```ts
 * import { spokenClass } from "./imagenet_classes.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(spokenClass("n01440764"), "tench (n01440764)");
 * assertEquals(spokenClass("ants"), "ants");
 * ```
 */
export function spokenClass(folder: string): string {
  const name = NAMES.get(folder);
  return name === undefined ? folder : `${name} (${folder})`;
}
