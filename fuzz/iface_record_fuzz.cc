// Property: a record that is taken is the named one and says what a plain second reader finds; what
// was taken, written as a record again, is taken as the same; and a login takes all of it.
//
// Input: the name of the iface; its record.
#include <map>
#include <sstream>
#include <string>

#include "hawser/detail/assert.h"

#include "input.h"
#include "wire/iface_record.h"
#include "wire/iscsid_message.h"

namespace {

std::string trim(const std::string& text) {
  const char* const blanks = " \t\r\v\f";
  const std::size_t first = text.find_first_not_of(blanks);
  return first == text.npos ? "" : text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// The value of `key`; empty also for the words that stand for nothing.
std::string value_in(const std::string& record, const std::string& key) {
  std::istringstream lines(record);
  std::string value;
  for (std::string line; std::getline(lines, line);) {
    line = trim(line);
    const std::size_t equals = line.find('=');
    if (line.empty() || line.front() == '#' || equals == line.npos) continue;
    if (trim(line.substr(0, equals)) == key) value = trim(line.substr(equals + 1));
  }
  return value == "default" || value == "<empty>" ? "" : value;
}

std::string record_of(const std::string& name, const hawser::IfaceBinding& binding) {
  return "iface.iscsi_ifacename = " + name + "\niface.transport_name = " + binding.transport +
         "\niface.net_ifacename = " + binding.netdev + "\niface.hwaddress = " + binding.hwaddress +
         "\niface.initiatorname = " + binding.initiator_name + "\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::string name(input.line());
  const std::string record(input.rest());
  const hawser::Result<hawser::IfaceBinding> binding = hawser::parse_iface_record(record, name);
  if (!binding) {
    HAWSER_ASSERT(binding.error().stage() == hawser::Stage::preflight);
    return 0;
  }
  const std::string transport = value_in(record, "iface.transport_name");
  HAWSER_ASSERT(binding->transport == (transport.empty() ? "tcp" : transport));
  HAWSER_ASSERT(binding->netdev == value_in(record, "iface.net_ifacename"));
  HAWSER_ASSERT(binding->hwaddress == value_in(record, "iface.hwaddress"));
  HAWSER_ASSERT(binding->initiator_name == value_in(record, "iface.initiatorname"));
  HAWSER_ASSERT(value_in(record, "iface.ipaddress").empty());
  HAWSER_ASSERT(*hawser::parse_iface_record(record_of(name, *binding), name) == *binding);

  const hawser::LoginRequest login{
      .target = "iqn.2004-10.org.example:t", .address = "10.0.1.2", .binding = *binding};
  HAWSER_ASSERT(hawser::encode_login(hawser::iscsid_layouts().front(), login));
  return 0;
}
