# Rounds of random operations over 32 volumes of four targets, at four portals, by one process, under random
# faults. LAB_SOAK is SEED:ROUNDS:SECONDS_OF_A_ROUND. Not a test; tests/soak runs it.
. /mnt/tests/soak/rounds.sh
IFS=: read -r seed rounds seconds <<<"$LAB_SOAK"
prepare_soak "$seed" 4 8
# What was left in a round would count in the next as well.
for ((n = 0; n < rounds; n++)); do soak_round "$seconds" || fail "round $round leaves something, or goes wrong"; done
check "volumes were attached, used and detached" has_worked
check "memory, descriptors and threads are flat" is_flat
check "every call came back in time" is_in_time
check "some were called back by their deadline" was_late
