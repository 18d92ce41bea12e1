// Property: a node record, read as open-iscsi reads it, gives back what was written and not a key
// more; its file is below its directories; and the text fits what was reserved for it, since a
// buffer that grows would leave secrets behind.
//
// Input: the lines of login_input.h.
#include <map>

#include "hawser/detail/assert.h"

#include "login_input.h"
#include "wire/node_record.h"

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ')
    text.remove_suffix(1);
  return text;
}

std::map<std::string, std::string> read_record(std::string_view text) {
  std::map<std::string, std::string> values;
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty() || line.starts_with('#')) continue;
    const std::size_t equals = line.find('=');
    HAWSER_ASSERT(equals != line.npos);
    const std::string key(trim(line.substr(0, equals)));
    HAWSER_ASSERT(!values.contains(key));
    values[key] = trim(line.substr(equals + 1));
  }
  return values;
}

std::map<std::string, std::string> expected(const hawser::LoginRequest& login) {
  std::map<std::string, std::string> values{
      {"node.name", login.target},
      {"node.tpgt", std::to_string(login.group.value_or(1))},
      {"node.startup", "manual"},
      {"node.leading_login", "No"},
      {"node.discovery_type", "static"},
      {"node.session.scan", "manual"},
      {"node.session.initial_login_retry_max", "1"},
      {"node.session.timeo.replacement_timeout", std::to_string(login.recovery_timeout.count())},
      {"node.conn[0].address", login.address},
      {"node.conn[0].port", std::to_string(login.port)},
      {"node.conn[0].timeo.login_timeout", std::to_string(login.login_timeout.count())},
      {"iface.iscsi_ifacename", login.iface},
      {"iface.transport_name", login.binding.transport}};
  const auto add = [&values](const char* key, std::string_view value) {
    if (!value.empty()) values[key] = value;
  };
  add("iface.net_ifacename", login.binding.netdev);
  add("iface.hwaddress", login.binding.hwaddress);
  add("iface.initiatorname", login.binding.initiator_name);
  if (login.chap == nullptr) return values;
  values["node.session.auth.authmethod"] = "CHAP";
  values["node.session.auth.username"] = login.chap->username;
  values["node.session.auth.password"] = login.chap->password.reveal();
  if (login.chap->password_in.empty()) return values;
  values["node.session.auth.username_in"] = login.chap->username_in;
  values["node.session.auth.password_in"] = login.chap->password_in.reveal();
  return values;
}

void check_path(const hawser::LoginRequest& login, const hawser::NodeRecordPath& path) {
  const std::vector<std::string_view> parts = split(path.file, '/');
  HAWSER_ASSERT(parts.size() == 4);
  HAWSER_ASSERT(parts[0] == "nodes" && parts[1] == login.target && parts[3] == login.iface);
  for (const std::string_view part : parts) {
    HAWSER_ASSERT(!part.empty() && part != "." && part != "..");
    HAWSER_ASSERT(part.find('\0') == part.npos);
  }
  HAWSER_ASSERT(path.portal_dir + "/" + login.iface == path.file);
  HAWSER_ASSERT(path.target_dir == "nodes/" + login.target);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const LoginInput made(input);
  const hawser::LoginRequest& login = made.login();
  const auto path = hawser::node_record_path(login);
  if (path) check_path(login, *path);
  const hawser::Result<std::string> record = hawser::encode_node_record(login);
  if (!record) {
    HAWSER_ASSERT(record.error().code() == hawser::Errc::invalid_argument);
    return 0;
  }
  HAWSER_ASSERT(path);
  HAWSER_ASSERT(record->size() <= 8192);
  HAWSER_ASSERT(read_record(*record) == expected(login));
  return 0;
}
