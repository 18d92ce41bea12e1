# Cycles of one subject under one fault, until one is left unclean: tests/campaign starts the guest again
# then. Not a test; tests/campaign runs it.
. /mnt/tests/campaign/cycle.sh
prepare_campaign "$LAB_SUBJECT" "$LAB_FAULT" "$LAB_BOUND"
for ((n_cycle = 0; n_cycle < LAB_CYCLES; n_cycle++)); do cycle || break; done
