# The first lab's machine: Debian's user-mode-linux, a kernel in a process. Sourced by tests/lab/lab.
# One CPU and no preemption; boots in 2 s.
#
# In another suite's root its own linux.uml runs, which needs that suite's C library.

slowness=1
memory_kib=$((768 * 1024))

# usual_jobs: how many guests at once. A guest is made of new processes, traps and page tables. A hypervisor that
# keeps the page tables itself may hand those out one at a time: there, each of two guests takes more than twice as
# long as it would alone, and what is timed in it goes wrong. So it is measured.
usual_jobs() {
  local processors start alone together n
  processors=$(nproc)
  start_processes() { for _ in {1..200}; do (:); done; }
  start=${EPOCHREALTIME/./}
  start_processes
  alone=$((${EPOCHREALTIME/./} - start))
  start=${EPOCHREALTIME/./}
  for ((n = 0; n < processors; n++)); do start_processes & done
  wait
  together=$((${EPOCHREALTIME/./} - start))
  # A guest waits now and then, hence one more than there are processors.
  if [ $((together * 2)) -lt $((alone * 3)) ]; then echo $((processors + 1)); else echo 1; fi
}

# prepare_machine: what all guests share.
prepare_machine() {
  [ -x "$root/usr/bin/linux.uml" ] || { echo "lab: no user-mode-linux in $root: run tools/setup lab" >&2; exit 1; }
  [ -e "$build/tests/lab/libwhole_xstate.so" ] || { echo "lab: $build has no whole_xstate: build that target" >&2; exit 1; }
  # The guest's memory is a file; on tmpfs it costs nothing until it is used. A container's /dev/shm may
  # be too small (64 MiB), and a guest that meets its end dies of SIGBUS.
  local free_kib
  memory=/dev/shm
  free_kib=$(df --output=avail -k "$memory" 2>/dev/null | tail -n 1 || true)
  [ "${free_kib:-0}" -gt $((memory_kib * jobs)) ] || memory=$results
}

# boot NAME DIR HOME: becomes the guest that runs scenario NAME with its results in DIR.
boot() {
  local name=$1 dir=$2 home=$3 enter=() here=$tree built=$build
  if [ "$root" != / ]; then
    enter=("$tree/tests/lab/enter" "$root" "$tree=/lab/tree" "$build=/lab/build" "$dir=/lab/results"
      "$memory=/lab/memory" "$home=/lab/home" --)
    here=/lab/tree built=/lab/build dir=/lab/results home=/lab/home
    memory=/lab/memory
  fi
  HOME=$home TMPDIR=$memory exec setsid ${enter[@]+"${enter[@]}"} \
    env LD_PRELOAD="$built/tests/lab/libwhole_xstate.so" /usr/bin/linux.uml \
    mem=${memory_kib}k umid="hawser-$$-$name" rootfstype=hostfs rootflags=/ ro con0=fd:0,fd:1 con=null quiet \
    init="$here/tests/lab/guest/init.sh" LAB_MACHINE=uml LAB_TESTS="$here/tests/lab" LAB_BUILD="$built" \
    LAB_RESULTS="$dir" LAB_MODULES=/usr/lib/uml/modules LAB_SCENARIO="$name" LAB_SLOWNESS=$slowness \
    LAB_FAULT="${LAB_FAULT:-}" LAB_CYCLES="${LAB_CYCLES:-}" LAB_SUBJECT="${LAB_SUBJECT:-}" LAB_BOUND="${LAB_BOUND:-}" \
    LAB_CRASH="${LAB_CRASH:-}" LAB_SOAK="${LAB_SOAK:-}"
}
