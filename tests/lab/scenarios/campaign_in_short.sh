# The campaign's cycle, once for each of three faults, with hawser: a volume is attached as a map that works,
# is detached, and nothing is left.
. /mnt/tests/campaign/cycle.sh
prepare_campaign hawser loss20-first-half 240
for fault in loss20-first-half loss100-second-half refused; do
  cycle || fail "$fault: not in time, or something is left"
done
check "three cycles ran" equal "$(jq -s length /mnt/results/cycles.jsonl)" 3
check "all were attached, as a map" jq -es 'all(.[]; .attach.ok and .map)' /mnt/results/cycles.jsonl
check "the devices worked" jq -es 'all(.[]; .device_works)' /mnt/results/cycles.jsonl
check "all were detached at once" jq -es 'all(.[]; .detaches | length == 1 and .[0].ok)' /mnt/results/cycles.jsonl
check "nothing was left" jq -es 'all(.[]; .leftovers == [] and .wwids_left == 0)' /mnt/results/cycles.jsonl
check "the faults were there" jq -es 'map({(.scenario): .attach.paths}) | add
  | ."loss100-second-half" == 2 and .refused == 3' /mnt/results/cycles.jsonl
