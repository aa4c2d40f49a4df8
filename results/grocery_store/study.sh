#!/bin/sh
# Every run of results/grocery_store; the same command again resumes what was interrupted.
#
#   DML_DATA=... sh results/grocery_store/study.sh              # all parts, about three hours on two cores
#   DML_DATA=... sh results/grocery_store/study.sh baselines    # or some: baselines search tuned frozen finetuned
#
# RUNS names the folder of the runs, runs/photos by default; PYTHON the interpreter.
set -eu
cd "$(dirname "$0")/../.."
export OMP_NUM_THREADS=1
runs=${RUNS:-runs/photos} python=${PYTHON:-python} seeds=seed=0,1,2,3,4
photos="dataset=grocery_store backbone=efficientnet_lite0 metric=[recall,nmi,map_at_r,rho_spectrum] tracker.mode=disabled"
head="trainer.features=frozen sampler.batch_size=48 trainer.iterations=400 trainer.evaluate_every_iterations=400 optimizer.lr=1e-3"
losses=margin,triplet,multisimilarity,contrastive,arcface,softmax,proxy_anchor,proxynca_pp,supcon,smoothap,circle,recall_at_k

baselines() {
  untrained="$photos paths.runs=$runs/baselines trainer.epochs=0"
  $python main.py -m $untrained group=pixels backbone=pixels loss=softmax loss.embedding_dim=768
  $python main.py -m $untrained $seeds group=untrained backbone.pretrained=false backbone.embedding_dim=null loss=triplet
  $python main.py -m $untrained group=pretrained backbone.embedding_dim=null loss=triplet
}

# Twelve trials of each loss on frozen features of validation classes. Recall@1 of these is above 96 % for
# every loss, so that MAP@R chooses. The best numbers are in numbers.txt, a line for each loss.
search() {
  $python main.py -m hydra/sweeper=search $photos $head paths.runs=$runs/tuned validation=classes "loss=$losses" \
    evaluation.select_on=val/map@r \
    hydra.sweeper.folder=$runs/searches hydra.sweeper.trials=12 "hydra.sweeper.seeds=[]" hydra.launcher.jobs=2
}

# Heads with the numbers of the search, on all training classes.
tuned() {
  for seed in 0 1 2 3 4; do
    xargs -P 2 -L 1 $python main.py $photos $head paths.runs=$runs/tuned seed=$seed <results/grocery_store/numbers.txt
  done
}

# Every loss with its default numbers.
frozen() {
  $python main.py -m $photos $head paths.runs=$runs/frozen "loss=glob(*)" $seeds hydra.launcher.jobs=2
}

# The whole network with the numbers of the search, on all training classes.
finetuned() {
  for seed in 0 1 2; do
    xargs -P 2 -L 1 $python main.py $photos paths.runs=$runs/finetuned trainer.evaluate_every_epochs=2 seed=$seed \
      <results/grocery_store/numbers.txt
  done
}

for part in "${@:-all}"; do
  case $part in
    all) baselines; search; tuned; frozen; finetuned ;;
    baselines | search | tuned | frozen | finetuned) $part ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
done
