# The second lab's machine: qemu under software emulation with Debian's own kernel, two CPUs and the
# host's root over 9p. Sourced by tests/lab/lab.
#
# Some forty times slower than the host, processes and computing alike; there is room for the shadow
# memory of ASan and TSan, and there are the drivers that user-mode-linux lacks.

# What a deadline is multiplied with.
slowness=6
usual_jobs() { echo 2; }  # Each has two CPUs to emulate.
kernel_files=$tree/build/qemu

prepare_machine() {
  [ "$root" = / ] || { echo "lab: the second lab runs this host's own suite only" >&2; exit 64; }
  "$tree/tests/lab/make_qemu" "$kernel_files"
}

# share TAG DIRECTORY OPTIONS...: qemu's arguments for a folder that the guest mounts by its tag.
share() { printf '%s\n' -virtfs "local,path=$2,mount_tag=$1,security_model=none,multidevs=remap${3:-}"; }

# boot NAME DIR HOME: becomes the guest that runs scenario NAME with its results in DIR.
boot() {
  local name=$1 dir=$2 shares=()
  mapfile -t shares < <(
    share root / ,readonly=on
    share tests "$tree/tests/lab" ,readonly=on
    share build "$build" ,readonly=on
    share modules "$kernel_files/modules" ,readonly=on
    share results "$dir"
  )
  exec setsid qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 2G -no-reboot -net none \
    -display none -monitor none -serial stdio -kernel "$kernel_files/vmlinuz" -initrd "$kernel_files/initrd.gz" \
    "${shares[@]}" -append "console=ttyS0 quiet panic=-1 nokaslr mitigations=off \
LAB_MACHINE=qemu LAB_INIT=$tree/tests/lab/guest/init.sh LAB_SCENARIO=$name LAB_SLOWNESS=$slowness \
LAB_FAULT=${LAB_FAULT:-} LAB_CYCLES=${LAB_CYCLES:-}"
}
