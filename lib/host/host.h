// The one seam to the operating system: what the engine may ask of a host. LinuxHost is the real
// one; tests/sim has a simulated one that can fail and crash at every call.
//
// Every call that takes a Ctx returns by its deadline. Errors carry Outcome::unknown when a change
// was asked for and may still happen; otherwise nothing has changed. Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hawser/attachment.h"
#include "hawser/ctx.h"
#include "hawser/volume.h"

#include "model/login.h"
#include "model/map.h"
#include "model/scsi_device.h"
#include "model/session.h"

namespace hawser {

// Runs tasks side by side. The engine's threads, and the simulation's turn-taking.
class Crew {
 public:
  virtual ~Crew() = default;  // Waits until every task has returned.

  // Starts a task. It gets `ctx`, may block only in calls that take it, and must not throw.
  virtual void start(const Ctx& ctx, std::function<void(const Ctx&)> task) = 0;

  // Waits until a task that had not been reported yet has returned; false if none is left.
  // Errors: deadline_exceeded, cancelled; the tasks go on.
  virtual Result<bool> wait_one(const Ctx& ctx) = 0;

  // Asks every task to stop, by its Ctx.
  virtual void request_stop() = 0;
};

// What multipathd makes of a path that is offered to it.
enum class PathVerdict {
  not_running,  // No multipathd: the map is all ours.
  accepted,     // It knows the path, and has or will have a map for it.
  undecided,    // It does not know the device yet, or did not answer in time.
  blacklisted,  // It would destroy a map over this path.
};

class Host {
 public:
  virtual ~Host() = default;

  virtual std::unique_ptr<Crew> crew() = 0;

  // Identifies the running kernel: its state does not outlive this.
  virtual Result<std::string> boot_id() = 0;

  // Milliseconds since boot, sleep included: comparable between processes of one boot.
  virtual std::int64_t uptime_ms() = 0;

  // Seconds since 1970, for people who read the log.
  virtual std::int64_t wall_time_s() = 0;

  // Lets `time` pass, for the few things that announce themselves by no event.
  // Errors: deadline_exceeded, cancelled.
  virtual Status pause(const Ctx& ctx, std::chrono::milliseconds time) = 0;

  // Errors: permission_denied (not root), unavailable (no iscsid), unsupported (an iscsid whose
  // layout is unknown; no multipath target in the kernel when `multipath` asks for it).
  virtual Status check_ready(const Ctx& ctx, Multipath multipath) = 0;

  // Numeric addresses of a host name, or the address itself. Errors: not_found, unavailable.
  virtual Result<std::vector<std::string>> resolve(const Ctx& ctx, const std::string& name) = 0;

  // Whether there is an iface of this name to log in through. Errors: not_found (names the file),
  // invalid_argument (its record is damaged), unsupported (it is an offload card's), io.
  virtual Status check_iface(const Ctx& ctx, const std::string& name) = 0;

  // --- sessions ---------------------------------------------------------------------------------

  virtual Result<std::vector<Session>> sessions(const Ctx& ctx) = 0;

  // Those to one target, and one by its number: they cost what they return, not what the host has.
  virtual Result<std::vector<Session>> sessions_to(const Ctx& ctx, const std::string& target) = 0;
  virtual Result<std::optional<Session>> session(const Ctx& ctx, std::uint32_t sid) = 0;

  // Returns once the session is logged in, in the kernel's eyes. The iface of `request` is looked
  // up. A login that was sent cannot be taken back: deadline_exceeded and cancelled are
  // Outcome::unknown, and the session may still come. Errors: already_exists (such a session exists
  // or is being made), unauthenticated, unavailable, protocol, deadline_exceeded, cancelled; with
  // iscsi_status where iscsid gave one.
  virtual Result<Session> login(const Ctx& ctx, const LoginRequest& request) = 0;

  // True if iscsid is still trying a first login, ours or anybody's, or is at work on a session to
  // the target, which is not whole meanwhile.
  virtual Result<bool> login_in_flight(const Ctx& ctx, const std::string& target) = 0;

  // Returns once the session is gone from sysfs. A session that is not there is success.
  virtual Status logout(const Ctx& ctx, std::uint32_t sid) = 0;

  // How long I/O waits for a lost session before it fails. Survives a restart of iscsid.
  virtual Status set_recovery_timeout(const Ctx& ctx, std::uint32_t sid,
                                      std::chrono::seconds timeout) = 0;

  virtual Result<SessionReport::Counters> counters(const Ctx& ctx, std::uint32_t sid) = 0;

  virtual Result<std::vector<DiscoveredTarget>> discover(const Ctx& ctx, const Portal& portal,
                                                         const std::optional<Chap>& chap) = 0;

  // open-iscsi's node record of a session; written atomically, under open-iscsi's own lock, with
  // the secrets of `request` in it. A record that is there is left alone.
  virtual Result<bool> has_node_record(const Ctx& ctx, const LoginRequest& request) = 0;
  virtual Status add_node_record(const Ctx& ctx, const LoginRequest& request) = 0;
  // A record that is not there is success.
  virtual Status remove_node_record(const Ctx& ctx, const LoginRequest& request) = 0;

  // --- SCSI devices -----------------------------------------------------------------------------

  // Has the kernel look at exactly this LUN of this session. It may find nothing: then there is no
  // device, and no error.
  virtual Status scan(const Ctx& ctx, const Session& session, std::uint32_t lun) = 0;

  // Waits until scans of this session that somebody has begun and left are over, and the disk of
  // the LUN is there if it is found, so that they bring nothing any more; on a session that is lost
  // that takes until it is back or is given up. May look at the LUN itself. Errors: not_found (the
  // session is gone), deadline_exceeded.
  virtual Status finish_scan(const Ctx& ctx, const Session& session, std::uint32_t lun) = 0;

  // The disks of a session. Devices that vanish while we look are left out.
  virtual Result<std::vector<ScsiDevice>> devices(const Ctx& ctx, std::uint32_t sid) = 0;

  // The units of the session that a driver serves or is about to, also those that are no disks, or
  // have none yet.
  virtual Result<std::vector<Hctl>> units(const Ctx& ctx, std::uint32_t sid) = 0;

  // The disk of this number, whatever it belongs to: one that is no iSCSI session's has a sid of 0
  // and no identity. nullopt if there is none.
  virtual Result<std::optional<ScsiDevice>> find_device(const Ctx& ctx, const DevT& dev) = 0;

  // Waits until the disk is there with a size and an identity. Errors: deadline_exceeded,
  // not_found, unsupported (what is there is no disk).
  virtual Result<ScsiDevice> wait_for_device(const Ctx& ctx, const Session& session,
                                             std::uint32_t lun) = 0;

  // Has the kernel read size and identity again. One that answers no read is left alone: where the
  // target does not show the unit for a moment, the kernel would take its size for zero and fail
  // all I/O, also when the unit is back. Source: read_capacity_error() in Linux drivers/scsi/sd.c.
  // Errors: unavailable, io, deadline_exceeded.
  virtual Status rescan(const Ctx& ctx, const ScsiDevice& device) = 0;

  // What the session has there, as it was when it was scanned. Errors: protocol, io.
  virtual Result<UnitKind> unit_kind(const Ctx& ctx, const Session& session, std::uint32_t lun) = 0;
  // Deletes that, unless a disk has come or comes of it, and returns once it is gone from sysfs.
  // Errors: those of unit_kind; deadline_exceeded (unknown).
  virtual Status remove_unless_disk(const Ctx& ctx, const Session& session, std::uint32_t lun) = 0;

  // Deletes a SCSI device and returns once it is gone from sysfs. Gone already is success.
  virtual Status remove_device(const Ctx& ctx, const ScsiDevice& device) = 0;

  // Makes a block device ("dm-3", "sdb") read-only, or writable again. What others do to it, such
  // as a reload of a map, does not undo that. Errors: not_found, io.
  virtual Status set_read_only(const Ctx& ctx, const std::string& name, bool is_read_only) = 0;

  // Reads a little from the path itself: proof that it is alive.
  virtual Status probe(const Ctx& ctx, const ScsiDevice& device) = 0;

  // The WWID under which udev and multipathd know the device, or will.
  virtual Result<std::string> wwid(const Ctx& ctx, const ScsiDevice& device) = 0;

  // --- maps -------------------------------------------------------------------------------------

  // nullopt if there is none. Errors are those of the question, never "not_found".
  virtual Result<std::optional<Map>> find_map(const Ctx& ctx, const std::string& uuid) = 0;

  // Partition maps (kpartx) over the map of this WWID.
  virtual Result<std::vector<Map>> partition_maps(const Ctx& ctx, const std::string& wwid) = 0;

  // Errors: already_exists (name or uuid is taken: the other's map is there to be used), busy (a
  // path is claimed by somebody else).
  virtual Status create_map(const Ctx& ctx, const Map& map) = 0;

  // Loads `table` into a live map and switches to it. The map is never left suspended. It may have
  // another table all the same, of somebody who does so at the same moment.
  virtual Status reload_map(const Ctx& ctx, const Map& map, const MapTable& table) = 0;

  // As reload_map(), with another length. What is in flight is waited for, and what is queued fails
  // if no path works: the caller has seen one that does.
  virtual Status resize_map(const Ctx& ctx, const Map& map, const MapTable& table,
                            std::uint64_t sectors) = 0;

  // Resumes a map that was left suspended. One that is not, or is not there, is success.
  virtual Status resume_map(const Ctx& ctx, const std::string& uuid) = 0;

  // Removes by uuid; a map that is not there is success. One that is open is waited for.
  // Errors: busy (it was open until the deadline; nothing has changed).
  virtual Status remove_map(const Ctx& ctx, const std::string& uuid) = 0;

  // The same, but one that is open is refused at once.
  virtual Status remove_map_if_closed(const Ctx& ctx, const std::string& uuid) = 0;

  // Removes the map, or has the kernel do it when the last opener closes it; find_map() shows it as
  // closing until then.
  virtual Status remove_map_when_closed(const Ctx& ctx, const std::string& uuid) = 0;

  // Replaces the table by one that fails all I/O: frees whoever is stuck, loses what was queued.
  // Errors: busy (somebody keeps loading other tables); deadline_exceeded, unknown.
  virtual Status wipe_map(const Ctx& ctx, const std::string& uuid) = 0;

  virtual Status reinstate_path(const Ctx& ctx, const std::string& uuid, const DevT& dev) = 0;

  // Waits until udev has handled the map, so that its links are there. Errors: deadline_exceeded,
  // which is a warning to most.
  virtual Status wait_for_udev(const Ctx& ctx, const std::string& uuid) = 0;

  // Waits until udev's links of the map are gone.
  virtual Status wait_for_udev_gone(const Ctx& ctx, const std::string& uuid) = 0;

  // Waits until udev's database has nothing of removed devices any more, which it would say of the
  // next devices of these numbers. Errors: deadline_exceeded, which names one.
  virtual Status wait_for_udev_to_forget(const Ctx& ctx,
                                         const std::vector<ScsiDevice>& devices) = 0;

  // Waits until its database has nothing of a device that had the number of this one before that
  // was scanned. Errors: deadline_exceeded.
  virtual Status wait_for_udev_to_forget_namesake(const Ctx& ctx, const ScsiDevice& device,
                                                  TimePoint scanned) = 0;

  // --- whoever else works on maps ---------------------------------------------------------------

  virtual Result<PathVerdict> offer_path(const Ctx& ctx, const ScsiDevice& device) = 0;

  // Has multipathd look at the length of a map again. It need not run.
  // Errors: io (it says no, or nothing), which is a warning to most.
  virtual Status announce_size(const Ctx& ctx, const Map& map) = 0;

  // True if multipathd still shows any of these, or runs and does not say.
  virtual Result<bool> is_known_to_multipathd(const Ctx& ctx,
                                              const std::vector<ScsiDevice>& devices) = 0;

  // The list of WWIDs that multipath-tools and LVM take for multipath (/etc/multipath/wwids).
  virtual Result<std::vector<std::string>> known_wwids(const Ctx& ctx) = 0;
  // Adding what is there, or removing what is not, is success.
  virtual Status remember_wwid(const Ctx& ctx, const std::string& wwid) = 0;
  virtual Status forget_wwid(const Ctx& ctx, const std::string& wwid) = 0;

  // Who has a claim on a disk, in words for people: maps of any kind over it, mounts. Processes
  // that merely have it open are not seen.
  virtual Result<std::vector<std::string>> claims(const Ctx& ctx, const ScsiDevice& device) = 0;

  // --- use and data -----------------------------------------------------------------------------

  // Who has laid hands on a block device ("dm-3", "sdb") or a partition of it and will not let go
  // by himself: mounts in any namespace, swap, devices stacked on it. In words for people.
  virtual Result<std::vector<std::string>> holders(const Ctx& ctx, const std::string& device) = 0;

  // Of these only what is stacked on it, but for multipath maps: "used by dm-3 (LVM-...)". It costs
  // little, and is all that can use a disk that a map has claimed: device-mapper shares its claims.
  virtual Result<std::vector<std::string>> stacked_on(const Ctx& ctx,
                                                      const std::string& device) = 0;

  // Processes that have it open, as far as they can be found: "dd (pid 123)".
  virtual Result<std::vector<std::string>> openers(const Ctx& ctx, const std::string& device) = 0;

  // Waits until nobody has it open, but for partition maps over it that nobody has open either.
  // Errors: busy at the deadline.
  virtual Status wait_until_unused(const Ctx& ctx, const std::string& device) = 0;

  // True if nothing can be left to be written through the map: it is not open, not even under a
  // partition map, and no disk keeps a volatile cache. The last one to close a block device waits
  // until the kernel has written what it holds, or has given it up, which flush() then tells
  // without asking a path. Source: blkdev_put_whole() in Linux block/bdev.c.
  virtual Result<bool> is_written(const Ctx& ctx, const Map& map,
                                  const std::vector<ScsiDevice>& devices) = 0;

  // Opens the block device ("dm-3", "sdb") and its partitions, fsyncs and closes them: collects a
  // write error that nobody has seen, and empties the target's volatile cache. Runs on a worker
  // that may be left behind. Errors: data_at_risk (writes were lost, and this was the only time
  // that the kernel says so), deadline_exceeded (outcome unknown); after others nothing was done.
  virtual Status flush(const Ctx& ctx, const std::string& device) = 0;
};

}  // namespace hawser
