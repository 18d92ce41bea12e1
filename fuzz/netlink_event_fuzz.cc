// Property: an event is what the kernel's own structure has in these bytes, and short ones are
// refused; and the answer to our question for counters is understood.
#include <cstring>
#include <string>

#include "hawser/detail/assert.h"

#include "wire/iscsi_netlink.h"

namespace {

// struct iscsi_uevent and struct iscsi_stats, down to what we use.
// Source: Linux include/scsi/iscsi_if.h.
struct Uevent {
  std::uint32_t type;
  std::uint32_t iferror;
  std::uint64_t transport_handle;
  struct {
    std::uint32_t sid;
    std::uint32_t cid;
    std::uint64_t more[2];
  } get_stats;
  union {
    struct {
      std::uint32_t sid;
      std::uint32_t other[3];
    } any;
    struct {
      std::uint32_t host_no;
      std::uint32_t sid;
      std::uint32_t other[2];
    } d_session;
    struct {
      std::uint32_t sid;
      std::uint32_t cid;
      std::uint32_t error;
      std::uint32_t other;
    } connerror;
  } r;
};
static_assert(sizeof(Uevent) == 56);

struct Stats {
  std::uint64_t txdata_octets, rxdata_octets;
  std::uint32_t noptx, scsicmd, tmfcmd, login, text, dataout, logout, snack;
  std::uint32_t noprx, scsirsp, tmfrsp, textrsp, datain, logoutrsp, r2t, async, rjt;
  std::uint32_t digest_err, timeout_err, custom_length;
};
static_assert(sizeof(Stats) == 96);

std::uint32_t sid_of(const Uevent& event) {
  switch (event.type) {
    case 20: return event.get_stats.sid;
    case 104: return event.r.d_session.sid;
    default: return event.r.any.sid;
  }
}

void check_decoded(const std::string& bytes) {
  const hawser::Result<hawser::IscsiEvent> event = hawser::decode_iscsi_event(bytes);
  Uevent expected{};
  Stats stats{};
  if (bytes.size() < sizeof expected) {
    HAWSER_ASSERT(!event);
    return;
  }
  std::memcpy(&expected, bytes.data(), sizeof expected);
  const bool is_stats = expected.type == 20;
  if (is_stats && bytes.size() < sizeof expected + sizeof stats) {
    HAWSER_ASSERT(!event);
    return;
  }
  HAWSER_ASSERT(event);
  HAWSER_ASSERT(event->type == expected.type);
  HAWSER_ASSERT(event->sid == sid_of(expected));
  HAWSER_ASSERT(event->error == (expected.type == 102 ? expected.r.connerror.error : 0));
  HAWSER_ASSERT(event->counters.has_value() == is_stats);
  if (!is_stats) return;
  std::memcpy(&stats, bytes.data() + sizeof expected, sizeof stats);
  HAWSER_ASSERT(event->counters->tx_bytes == stats.txdata_octets);
  HAWSER_ASSERT(event->counters->rx_bytes == stats.rxdata_octets);
  HAWSER_ASSERT(event->counters->commands == stats.scsicmd);
  HAWSER_ASSERT(event->counters->responses == stats.scsirsp);
  HAWSER_ASSERT(event->counters->digest_errors == stats.digest_err);
  HAWSER_ASSERT(event->counters->timeout_errors == stats.timeout_err);
}

// The kernel sends the question back, with the counters behind it.
void check_answer(const std::string& bytes) {
  std::uint64_t handle = 0;
  std::uint32_t sid = 0;
  if (bytes.size() < sizeof handle + sizeof sid) return;
  std::memcpy(&handle, bytes.data(), sizeof handle);
  std::memcpy(&sid, bytes.data() + sizeof handle, sizeof sid);
  std::string answer = hawser::encode_get_stats(handle, sid);
  HAWSER_ASSERT(answer.size() == sizeof(Uevent));
  HAWSER_ASSERT(
      std::memcmp(answer.data() + offsetof(Uevent, transport_handle), &handle, sizeof handle) == 0);
  answer.append(sizeof(Stats), '\0');
  const hawser::Result<hawser::IscsiEvent> event = hawser::decode_iscsi_event(answer);
  HAWSER_ASSERT(event && event->sid == sid && event->counters);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(data, data + size);
  check_decoded(bytes);
  check_answer(bytes);
  return 0;
}
