// Where things are in the request that a running iscsid takes.
//
// The request is a C structure of open-iscsi (iscsiadm_req_t of usr/mgmt_ipc.h), sent as it is in
// memory: its layout is the protocol's version, and it changed eight times. The offsets are facts
// that were measured with probe programs, on LP64 with glibc and with musl.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace hawser {

// The parts of the record that we set. Everything else is sent as zero.
enum class IscsidField : std::size_t {
  target_name,
  tpgt,
  cmds_max,
  queue_depth,
  login_retry_max,
  login_redirect_max,
  nr_sessions,
  scan,
  auth_method,
  username,
  password,
  password_length,
  username_in,
  password_in,
  password_in_length,
  chap_algorithms,
  replacement_timeout,
  abort_timeout,
  host_reset_timeout,
  lu_reset_timeout,
  target_reset_timeout,
  immediate_data,
  first_burst_length,
  max_burst_length,
  default_time2wait,
  max_connections,
  max_outstanding_r2t,
  fast_abort,
  reopen_log_frequency,
  address,
  port,
  login_timeout,
  logout_timeout,
  auth_timeout,
  noop_out_interval,
  noop_out_timeout,
  max_recv_segment_length,
  iface_name,
  transport_name,
  count,
};

struct IscsidLayout {
  std::string_view releases;    // Of open-iscsi.
  std::uint32_t request_bytes;  // The daemon reads exactly this much.
  // Offsets in the request; 0: this release has no such field.
  std::array<std::uint16_t, static_cast<std::size_t>(IscsidField::count)> offsets;

  std::size_t offset(IscsidField field) const { return offsets[static_cast<std::size_t>(field)]; }
  bool has(IscsidField field) const { return offset(field) != 0; }

  // Parts of the iface that lie at the same distance from others in every release.
  std::size_t netdev_offset() const { return offset(IscsidField::iface_name) + 72; }
  std::size_t hwaddress_offset() const { return offset(IscsidField::transport_name) - 18; }
  std::size_t initiator_name_offset() const { return offset(IscsidField::transport_name) + 272; }
};

// Every layout that is known, the most common first.
std::span<const IscsidLayout> iscsid_layouts();

}  // namespace hawser
