#include "sysfs/iscsi.h"

#include <arpa/inet.h>

#include <array>

#include "base/number.h"
#include "wire/sysfs_text.h"

namespace hawser {
namespace {

constexpr std::string_view kSessionPrefix = "session";

std::string session_dir(std::uint32_t sid) {
  return "class/iscsi_session/session" + std::to_string(sid) + "/";
}

// One spelling for each address, since sessions are found by it; empty if it is a name.
std::string normalised(const std::string& text) {
  std::array<char, INET6_ADDRSTRLEN> out{};
  for (const int family : {AF_INET, AF_INET6}) {
    in6_addr bytes{};
    if (::inet_pton(family, text.c_str(), &bytes) == 1 &&
        ::inet_ntop(family, &bytes, out.data(), out.size()) != nullptr) {
      return out.data();
    }
  }
  return {};
}

Error bad(const std::string& path, const std::string& text) {
  return Error(Errc::protocol, "sysfs attribute '" + path + "' says '" + text + "'");
}

// Reads the attributes of one session; the first failure stays.
class Reader {
 public:
  Reader(const Sysfs& sysfs, std::string dir) : sysfs_(sysfs), dir_(std::move(dir)) {}

  std::string text(const std::string& name) { return text_at(dir_ + name); }
  std::string text_at(const std::string& path) {
    if (!status_) return {};
    Result<std::string> text = sysfs_.attribute(path);
    if (text) return *text == "(null)" ? std::string() : *std::move(text);
    status_ = std::move(text).error();
    return {};
  }
  template <class Number>
  Number number_at(const std::string& path) {
    const std::string digits = text_at(path);
    const std::optional<Number> value = parse_number<Number>(digits);
    if (!value && status_) status_ = bad(path, digits);
    return value.value_or(0);
  }
  std::optional<SessionState> state() {
    const std::string word = text("state");
    if (!status_) return std::nullopt;
    const std::optional<SessionState> state = parse_session_state(word);
    if (!state) status_ = bad(dir_ + "state", word);
    return state;
  }
  std::uint32_t host_number() {
    if (!status_) return 0;
    Result<std::string> link = sysfs_.link_target(dir_.substr(0, dir_.size() - 1));
    if (!link) {
      status_ = std::move(link).error();
      return 0;
    }
    const std::optional<std::uint32_t> number = parse_session_host(*link);
    if (!number) status_ = bad(dir_, *link);
    return number.value_or(0);
  }
  const Status& status() const { return status_; }

 private:
  const Sysfs& sysfs_;
  const std::string dir_;
  Status status_{};
};

}  // namespace

Result<std::vector<std::uint32_t>> IscsiSysfs::sids() const {
  HAWSER_TRY_ASSIGN(const std::vector<std::string> names, sysfs_.list("class/iscsi_session"));
  std::vector<std::uint32_t> sids;
  for (const std::string& name : names) {
    if (!name.starts_with(kSessionPrefix)) continue;
    const std::optional<std::uint32_t> sid = parse_session_name(name);
    if (!sid) return bad("class/iscsi_session", name);
    sids.push_back(*sid);
  }
  return sids;
}

Result<std::vector<Session>> IscsiSysfs::sessions() const {
  HAWSER_TRY_ASSIGN(const std::vector<std::uint32_t> sids, this->sids());
  std::vector<Session> sessions;
  for (const std::uint32_t sid : sids) {
    HAWSER_TRY_ASSIGN(std::optional<Session> one, session(sid));
    if (one) sessions.push_back(*std::move(one));
  }
  return sessions;
}

Result<std::vector<Session>> IscsiSysfs::sessions_to(const std::string& target) const {
  HAWSER_TRY_ASSIGN(const std::vector<std::uint32_t> sids, this->sids());
  std::vector<Session> sessions;
  for (const std::uint32_t sid : sids) {
    HAWSER_TRY_ASSIGN(std::optional<Session> one, read(sid, &target));
    if (one) sessions.push_back(*std::move(one));
  }
  return sessions;
}

bool IscsiSysfs::exists(std::uint32_t sid) const { return sysfs_.exists(session_dir(sid)); }

Result<bool> IscsiSysfs::has_unfinished(const std::string& target) const {
  HAWSER_TRY_ASSIGN(const std::vector<std::uint32_t> sids, this->sids());
  for (const std::uint32_t sid : sids) {
    const Result<std::string> name = sysfs_.attribute(session_dir(sid) + "targetname");
    if (!name || *name != target) continue;
    HAWSER_TRY_ASSIGN(const std::optional<Session> whole, session(sid));
    if (!whole && exists(sid)) return true;
  }
  return false;
}

// What whoever made the session wrote, or, if that was a name, whom it is connected to.
std::string IscsiSysfs::address(const std::string& connection, const std::string& written) const {
  std::string numeric = normalised(written);
  const bool is_zoned = written.find('%') != written.npos;  // The kernel does not say the zone.
  if (!numeric.empty() || is_zoned) return is_zoned ? written : numeric;
  const Result<std::string> peer = sysfs_.attribute(connection + "address");
  if (peer) numeric = normalised(*peer);
  return numeric.empty() ? written : numeric;
}

Result<std::optional<Session>> IscsiSysfs::session(std::uint32_t sid) const {
  return read(sid, nullptr);
}

// `target`: which it has to be to, or it is none; may be null. Hosts have sessions to many.
Result<std::optional<Session>> IscsiSysfs::read(std::uint32_t sid,
                                                const std::string* target) const {
  const std::string number = std::to_string(sid);
  const std::string connection = "class/iscsi_connection/connection" + number + ":0/";
  Reader reader(sysfs_, session_dir(sid));
  Session session{.sid = sid};
  session.target = reader.text("targetname");
  if (reader.status() && target != nullptr && session.target != *target) {
    return std::optional<Session>{};
  }
  session.host_no = reader.host_number();
  session.iface = reader.text("ifacename");
  const std::optional<SessionState> state = reader.state();
  if (state) session.state = *state;
  session.tpgt = reader.number_at<int>(session_dir(sid) + "tpgt");
  session.address = address(connection, reader.text_at(connection + "persistent_address"));
  session.port = reader.number_at<std::uint16_t>(connection + "persistent_port");
  if (reader.status()) return {std::move(session)};
  // Being made, it has not all of its attributes yet; vanishing, not any more. ENOTCONN and EINVAL
  // are what the kernel says of a connection that is one or the other.
  const Error& error = reader.status().error();
  const bool is_passing = error.code() == Errc::not_found || error.sys_errno() == ENOTCONN ||
                          error.sys_errno() == EINVAL || !exists(sid) ||
                          state == SessionState::free;
  if (is_passing) return std::optional<Session>{};
  return error;
}

Status IscsiSysfs::set_recovery_timeout(std::uint32_t sid, std::chrono::seconds timeout) const {
  return sysfs_.write(session_dir(sid) + "recovery_tmo", std::to_string(timeout.count()));
}

Result<std::uint64_t> IscsiSysfs::tcp_handle_of(const Session& session) const {
  const std::string host = "class/scsi_host/host" + std::to_string(session.host_no);
  HAWSER_TRY_ASSIGN(const std::string driver, sysfs_.attribute(host + "/proc_name"));
  if (driver != "iscsi_tcp") {
    return Error(Errc::unsupported, "session " + std::to_string(session.sid) + " is one of " +
                                        driver + ", not of iscsi_tcp");
  }
  const std::string path = "class/iscsi_transport/tcp/handle";
  HAWSER_TRY_ASSIGN(const std::string text, sysfs_.attribute(path));
  const auto handle = parse_number<std::uint64_t>(text);
  if (!handle) return bad(path, text);
  return *handle;
}

}  // namespace hawser
