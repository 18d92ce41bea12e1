# What scenarios are written in. Sourced by init.sh. A new process costs 20 to 30 ms in the guest, so
# nothing here forks in a loop without need.

TARGET=iqn.2026-11.org.example:volume
OTHER_TARGET=iqn.2026-11.org.example:other
INITIATOR=iqn.2026-11.org.example:lab
STATE=/var/lib/hawser
# Of open-iscsi, by release.
NODES="/etc/iscsi/nodes /var/lib/iscsi/nodes"
MODULES=/mnt/modules_root
HAWSER=/mnt/build/tools/hawser/hawser
export LD_LIBRARY_PATH=/mnt/build/lib
# A report of a sanitizer fails the scenario, whatever the exit status of the process was: see init.sh.
SANITIZER_REPORTS=/mnt/results/sanitizer
export ASAN_OPTIONS=log_path=$SANITIZER_REPORTS:detect_stack_use_after_return=1
export UBSAN_OPTIONS=log_path=$SANITIZER_REPORTS:print_stacktrace=1
export TSAN_OPTIONS=log_path=$SANITIZER_REPORTS:second_deadlock_stack=1

# --- saying and checking --------------------------------------------------------------------------

say() {
  local up
  read -r up _ </proc/uptime
  echo "[$up] $*"
  echo "[$up] $*" >&3
}

fail() {
  say "FAILED: $*"
  echo "$*" >/run/failure
  trap - ERR
  exit 1
}

# check "what must hold" command...
check() {
  local what=$1
  shift
  "$@" && { say "ok: $what"; return; }
  fail "$what"
}

equal() { [ "$1" = "$2" ] || { echo "expected '$2', got '$1'"; return 1; }; }
at_most() { [ "$1" -le "$2" ] || { echo "expected at most $2, got $1"; return 1; }; }

# wait_until SECONDS command...: a generous bound, met only when something is broken. A machine that is
# busy with something else gets four times as long.
wait_until() {
  local end=$((SECONDS + $1 * 4 * LAB_SLOWNESS))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    nap
  done
}

# A tenth of a second without a process: nobody ever writes to this.
exec {never}<> <(:)
nap() { read -r -t 0.1 -u "$never" || true; }

# tell FD WORDS: a line to whoever reads there. One that has died is found out by its silence, and not by our SIGPIPE.
tell() { (trap '' PIPE && echo "$2" >&"$1") 2>/dev/null || true; }

# ended_within SECONDS JOB
ended_within() {
  local n
  for ((n = $1 * 10; n > 0; n--)); do
    kill -0 "$2" 2>/dev/null || return 0
    nap
  done
  return 1
}

# listens NAME: whether somebody has an abstract socket of that name.
listens() { [[ $(</proc/net/unix) == *"$1"* ]]; }

# expect_exit STATUS command...: standard output goes to /run/out, standard error to /run/err.
expect_exit() {
  local expected=$1 status=0
  shift
  "$@" >/run/out 2>/run/err || status=$?
  [ "$status" -eq "$expected" ] && return
  cat /run/out /run/err
  fail "exit status $status instead of $expected: $*"
}

# field EXPRESSION [FILE]: a value of the JSON document that a command printed.
field() { jq -r "$1" "${2:-/run/out}"; }

# Its deadlines, its own defaults included, are for a machine of usual speed.
hawser() {
  local words=() word defaults=(--timeout 60) i
  [ "$LAB_SLOWNESS" -gt 1 ] || { "$HAWSER" "$@"; return; }
  [ "$1" != attach ] || defaults+=(--login-timeout 15 --grace 5)
  for ((i = 0; i < ${#defaults[@]}; i += 2)); do
    [[ " $* " == *" ${defaults[i]} "* ]] || set -- "$@" "${defaults[@]:i:2}"
  done
  for word in "$@"; do
    case ${words[*]: -1} in
      --timeout | --login-timeout | --grace) word=$((word * LAB_SLOWNESS)) ;;
    esac
    words+=("$word")
  done
  "$HAWSER" "${words[@]}"
}

# find_worker PID: the command works in a child; sets worker.
find_worker() {
  read -r worker _ </proc/$1/task/$1/children || true
  [ -n "$worker" ]
}

# --- the machine ----------------------------------------------------------------------------------

bring_up_kernel() {
  local release
  release=$(uname -r)
  # The host may have no /lib/modules, and gets none from us. The kernel, too, asks for modules.
  mkdir -p "$MODULES/lib/modules/$release"
  mount --bind "/mnt/modules/$release" "$MODULES/lib/modules/$release"
  printf '#!/bin/sh\nexec /sbin/modprobe -d %s "$@"\n' "$MODULES" >/run/modprobe
  chmod +x /run/modprobe
  echo /run/modprobe >/proc/sys/kernel/modprobe
  load target_core_file iscsi_target_mod iscsi_tcp sd_mod veth ip_tables iptable_filter xt_statistic
  mount -t configfs configfs /sys/kernel/config 2>/dev/null || [ -d /sys/kernel/config/target ]
  ip link set lo up
  chmod 1777 /tmp
  mkdir -p /run/lock
}

# boot_again: never returns; the scenario goes on with its function boot_2, in a kernel that knows of
# nothing. Only what a disk would have kept is still there.
DISK=/mnt/results/disk.tar
boot_again() {
  local kept=() path
  for path in "$STATE" $NODES /etc/multipath/wwids; do
    [ ! -e "$path" ] || kept+=("${path#/}")
  done
  tar -cf "$DISK" -C / "${kept[@]}"
  say "boot again"
  sync
  # Not every root has a reboot.
  echo b >/proc/sysrq-trigger
  while :; do nap; done
}
unpack_disk() {
  boot=1
  [ -f "$DISK" ] || return 0
  boot=2
  tar -xf "$DISK" -C /
  rm "$DISK"
}

load() { modprobe -d "$MODULES" -a "$@"; }

load_multipath() { load dm_multipath dm_service_time dm_round_robin; }

# start_daemons [iscsid] [udevd] [multipathd]: started in this order, side by side, and all ready when
# it returns.
start_daemons() {
  local daemon
  for daemon in "$@"; do "spawn_$daemon"; done
  for daemon in "$@"; do "await_$daemon"; done
  say "boot to ready"
}

start_udevd() { spawn_udevd && await_udevd; }
spawn_udevd() {
  /lib/systemd/systemd-udevd >>/mnt/results/udevd.log 2>&1 &
  udevd_pid=$!
}
await_udevd() { wait_until 10 test -S /run/udev/control || fail "udevd did not start"; }

# iscsid signals its process group when it ends, hence a session of its own.
# start_iscsid [CONFIGURATION]
start_iscsid() { spawn_iscsid "$@" && await_iscsid; }
spawn_iscsid() {
  echo "InitiatorName=$INITIATOR" >/etc/iscsi/initiatorname.iscsi
  printf %s "${1:-}" >/etc/iscsi/iscsid.conf
  setsid iscsid -f >>/mnt/results/iscsid.log 2>&1 &
  iscsid_pid=$!
}
await_iscsid() { wait_until 10 listens ISCSIADM_ABSTRACT_NAMESPACE || fail "iscsid did not start"; }

# start_multipathd [FIND_MULTIPATHS [EXTRA_CONFIGURATION]]
start_multipathd() { spawn_multipathd "$@" && await_multipathd; }
spawn_multipathd() {
  mkdir -p /etc/multipath/conf.d
  cat >/etc/multipath/conf.d/lab.conf <<CONF
defaults {
  find_multipaths ${1:-no}
  user_friendly_names yes
}
${2:-}
CONF
  load_multipath
  multipathd -d >>/mnt/results/multipathd.log 2>&1 &
  multipathd_pid=$!
}
# is_adopted DEVICE: multipathd has that map.
is_adopted() { multipathd show maps raw format '%d %w' | grep -q "^${1#/dev/} "; }
await_multipathd() {
  wait_until 15 listens org/kernel/linux/storage/multipathd || fail "multipathd did not start"
}

# --- the storage ----------------------------------------------------------------------------------

# make_portals N: the target's own network namespace, behind N pairs of interfaces. Portal n is
# 10.0.n.2:3260, reached through the interface in.
make_portals() {
  local n here='' there=$'link set lo up\n'
  portals=$1
  for ((n = 1; n <= portals; n++)); do
    here+="link add i$n type veth peer name t$n netns tgt"$'\n'
    here+="addr add 10.0.$n.1/24 dev i$n"$'\n'"link set i$n up"$'\n'
    there+="addr add 10.0.$n.2/24 dev t$n"$'\n'"link set t$n up"$'\n'
  done
  ip netns add tgt
  ip -batch - <<<"$here"
  ip -netns tgt -batch - <<<"$there"
}

# serial_of NAME: the serial number that make_lun gives to a unit. LIO makes its NAA designator from
# the hex digits of this: it has to be hex to be unique.
serial_of() {
  local sum
  sum=$(md5sum <<<"$1")
  echo "${sum%% *}"
}

# wwid_of NAME: the WWID that such a unit has. LIO's company is 001405; 25 digits of the serial follow.
wwid_of() {
  local serial
  serial=$(serial_of "$1")
  echo "36001405${serial:0:25}"
}

# make_lun NAME SIZE_MIB [SERIAL]: a backing file, exported by add_lun.
make_lun() {
  truncate -s "${2}M" "/dev/shm/$1.img"
  make_store "$1" "fd_dev_name=/dev/shm/$1.img,fd_dev_size=$(($2 * 1048576))" "${3:-$(serial_of "$1")}"
}
# make_loop_lun NAME SIZE_MIB: one that can have another size, since a target reads that of a block device anew
# each time. Sets loop and backing.
make_loop_lun() {
  backing=/dev/shm/$1.img
  truncate -s "${2}M" "$backing"
  loop=$(losetup -f --show "$backing")
  make_store "$1" "fd_dev_name=$loop" "$(serial_of "$1")"
}
# set_size MIB: of the unit that make_loop_lun made last.
set_size() { truncate -s "${1}M" "$backing" && losetup -c "$loop"; }
# make_store NAME CONTROL SERIAL
make_store() {
  local store=/sys/kernel/config/target/core/fileio_0/$1
  mkdir -p "$store"
  echo "$2" >"$store/control"
  echo "$3" >"$store/wwn/vpd_unit_serial"
  echo 1 >"$store/enable"
}

# make_target IQN: on every portal, open to every initiator.
make_target() {
  local tpg=/sys/kernel/config/target/iscsi/$1/tpgt_1 n where=()
  mkdir -p "$tpg"
  echo 0 >"$tpg/attrib/authentication"
  echo 1 >"$tpg/attrib/generate_node_acls"
  echo 0 >"$tpg/attrib/demo_mode_write_protect"
  echo 0 >"$tpg/attrib/cache_dynamic_acls"
  # Listening sockets belong to the namespace of whoever makes the directory. Not `ip netns exec`,
  # which would mount a /sys without configfs.
  for ((n = 1; n <= portals; n++)); do where+=("$tpg/np/10.0.$n.2:3260"); done
  nsenter --net=/run/netns/tgt mkdir -p "${where[@]}"
  echo 1 >"$tpg/enable"
}

# add_lun IQN LUN NAME
add_lun() {
  local lun=/sys/kernel/config/target/iscsi/$1/tpgt_1/lun/lun_$2
  mkdir -p "$lun"
  ln -s "/sys/kernel/config/target/core/fileio_0/$3" "$lun/$3"
}

# add_portal_v6 N: portal n besides as [fd00:n::2]:3260, for targets that are made afterwards. The
# address is not probed for duplicates, or it could not be bound yet.
add_portal_v6() {
  load ipv6
  ip addr add "fd00:$1::1/64" dev "i$1" nodad
  ip -netns tgt addr add "fd00:$1::2/64" dev "t$1" nodad
}

# listen_on IQN PORTAL...: further portals of a target.
listen_on() {
  local tpg=/sys/kernel/config/target/iscsi/$1/tpgt_1
  shift
  nsenter --net=/run/netns/tgt mkdir -p "${@/#/$tpg/np/}"
}

# make_acl IQN [INITIATOR]: from now on the target is closed to everybody else.
make_acl() {
  local tpg=/sys/kernel/config/target/iscsi/$1/tpgt_1
  echo 0 >"$tpg/attrib/generate_node_acls"
  mkdir -p "$tpg/acls/${2:-$INITIATOR}"
}

# map_lun IQN LUN TPG_LUN [INITIATOR]: what an initiator with an ACL sees as LUN is the target's TPG_LUN.
map_lun() {
  local tpg=/sys/kernel/config/target/iscsi/$1/tpgt_1
  local lun=$tpg/acls/${4:-$INITIATOR}/lun_$2
  [ -d "$lun" ] || mkdir "$lun"
  [ -e "$lun/mapped" ] || ln -s "$tpg/lun/lun_$3" "$lun/mapped"
}

# set_chap IQN USER PASSWORD [USER_MUTUAL PASSWORD_MUTUAL]: for the initiator with an ACL.
set_chap() {
  local tpg=/sys/kernel/config/target/iscsi/$1/tpgt_1
  echo 1 >"$tpg/attrib/authentication"
  write_chap "$tpg/acls/$INITIATOR/auth" "${@:2}"
}

# set_discovery_chap USER PASSWORD [USER_MUTUAL PASSWORD_MUTUAL]: for SendTargets at every portal.
set_discovery_chap() {
  local auth=/sys/kernel/config/target/iscsi/discovery_auth
  write_chap "$auth" "$@"
  echo 1 >"$auth/enforce_discovery_auth"
}

write_chap() {
  printf %s "$2" >"$1/userid"
  printf %s "$3" >"$1/password"
  [ $# -gt 3 ] || return 0
  printf %s "$4" >"$1/userid_mutual"
  printf %s "$5" >"$1/password_mutual"
}

# add_host ADDRESS... NAME: a name for addresses, in /etc/hosts.
add_host() {
  [ ! -L /etc/hosts ] || { rm /etc/hosts && echo '127.0.0.1 localhost' >/etc/hosts; }
  while [ $# -gt 1 ]; do
    echo "$1 ${*: -1}" >>/etc/hosts
    shift
  done
}
# remove_lun IQN LUN, and remap_lun IQN LUN NAME: under the sessions that are there.
remove_lun() { find "/sys/kernel/config/target/iscsi/$1/tpgt_1/lun/lun_$2" -maxdepth 1 -type l -delete; }
remap_lun() { remove_lun "$1" "$2" && add_lun "$@"; }

# is_untouched NAME: nothing was ever written to that unit.
is_untouched() { [ "$(stat -c %b "/dev/shm/$1.img")" -eq 0 ]; }

# The usual storage: one volume of 64 MiB as LUN 1 of $TARGET on four portals.
make_storage() {
  make_portals "${1:-4}"
  make_lun volume 64
  make_target "$TARGET"
  add_lun "$TARGET" 1 volume
}

# The arguments of hawser that name that volume, by so many portals and no others.
volume() {
  local n
  echo --target "$TARGET" --lun 1 --discovery off
  for ((n = 1; n <= ${1:-portals}; n++)); do echo --portal "10.0.$n.2:3260"; done
}

# foreign_session IQN N: somebody else's session at portal n, without a scan. Sets sid and host.
foreign_session() {
  local session
  iscsiadm -m node -T "$1" -p "10.0.$2.2:3260" -o new >/dev/null
  iscsiadm -m node -T "$1" -p "10.0.$2.2:3260" -o update -n node.session.scan -v manual
  iscsiadm -m node -T "$1" -p "10.0.$2.2:3260" --login >/dev/null
  sid=0  # The newest: their names are not in the order of their numbers.
  for session in /sys/class/iscsi_session/session*; do
    if [ "$(<"$session/targetname")" = "$1" ] && [ "${session##*session}" -gt $sid ]; then sid=${session##*session}; fi
  done
  host=$(readlink -f "/sys/class/iscsi_session/session$sid/device/..")
  host=${host##*/host}
}

# foreign_device LUN: scans it on that session. Sets disk.
foreign_device() {
  echo "0 0 $1" >"/sys/class/scsi_host/host$host/scan"
  wait_until 10 foreign_disk "$1"
}
foreign_disk() {
  local block
  for block in "/sys/class/scsi_device/$host:0:0:$1/device/block"/sd*; do
    [ -e "$block" ] && disk=${block##*/} && return
  done
  return 1
}

# --- faults ---------------------------------------------------------------------------------------

# Also in a condition, where bash goes on after what fails, a fault that is not there has to say so.
rule() { iptables-legacy "$@" || fail "no such rule: $*"; }
portal_down() { rule -A INPUT -i "i$1" -j DROP; }
portal_up() { rule -D INPUT -i "i$1" -j DROP; }
portal_refuse() { rule -A OUTPUT -o "i$1" -p tcp --dport 3260 -j REJECT --reject-with tcp-reset; }
portal_accept() { rule -D OUTPUT -o "i$1" -p tcp --dport 3260 -j REJECT --reject-with tcp-reset; }
loss() { rule -A INPUT -i "i$1" -m statistic --mode random --probability "$2" -j DROP; }

# --- what is on the host --------------------------------------------------------------------------

# One line for each thing that could be left over, with what makes it that one: a disk has an address, a map its paths.
inventory() {
  local f parts
  for f in /sys/class/iscsi_session/session*; do [ -e "$f" ] && echo "session ${f##*/} $(<"$f/targetname")"; done
  for f in /sys/block/sd*; do [ -e "$f" ] && parts=("$f"/device/scsi_device/*) && echo "device ${f##*/} ${parts[*]##*/}"; done
  for f in /sys/class/scsi_device/*; do [ -e "$f" ] && [ ! -e "$f/device/block" ] && echo "unit ${f##*/}, no disk"; done
  for f in /sys/block/dm-*; do [ -e "$f" ] && parts=("$f"/slaves/*) && echo "map ${f##*/} $(<"$f/dm/uuid") of ${parts[*]##*/}"; done
  for f in /dev/disk/by-id/dm-uuid-mpath-*; do [ -L "$f" ] && echo "link $f"; done
  for f in "$STATE"/*.log; do [ -e "$f" ] && echo "log $f"; done
  for f in $NODES; do [ -d "$f" ] && find "$f" -type f -printf 'node record %p\n'; done
  for f in /run/lock/iscsi/lock.write /etc/iscsi/.hawser-record /var/lib/iscsi/.hawser-record; do
    [ -e "$f" ] && echo "of the node database: $f"
  done
  [ -f /etc/multipath/wwids ] && sed -n 's,^/,wwid /,p' /etc/multipath/wwids
  return 0
}

take_snapshot() { inventory >/run/before; }

# What is there now and was not before, or the other way round. udev works on for a moment after the
# kernel is done, so what passes is given time to pass.
differences() {
  inventory >/run/after
  diff /run/before /run/after
}
no_differences() { differences >/run/differences; }
nothing_left() {
  wait_until 20 no_differences || { cat /run/differences; return 1; }
}
count_leftovers() { nothing_left >/dev/null 2>&1 && echo 0 || grep -c '^[<>]' /run/differences; }

# --- I/O ------------------------------------------------------------------------------------------

# write_pattern DEVICE MIB: past the page cache, so that it is the device that is tested.
write_pattern() {
  head -c "$(($2 * 1048576))" /dev/urandom >/run/pattern
  dd if=/run/pattern of="$1" bs=1M oflag=direct conv=notrunc status=none
}
read_pattern() {
  dd if="$1" bs=1M count="$(($(stat -c %s /run/pattern) / 1048576))" iflag=direct status=none |
    cmp - /run/pattern
}
