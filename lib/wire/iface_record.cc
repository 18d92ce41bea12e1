#include "wire/iface_record.h"

#include <algorithm>
#include <map>

namespace hawser {
namespace {

constexpr std::size_t kNetdevBytesMax = 15;  // IFNAMSIZ less its end.
constexpr std::size_t kInitiatorNameBytesMax = 223;
constexpr std::size_t kHwaddressBytes = 17;  // "52:54:00:12:34:56"

Error wrong(Errc code, const std::string& name, const std::string& why) {
  return Error(code, "iface '" + name + "': " + why).with(Stage::preflight);
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\v\f";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

using Values = std::map<std::string_view, std::string_view>;

// "key = value" lines; the last one of a key counts, as it does for open-iscsi.
Values read_values(std::string_view text) {
  Values values;
  while (!text.empty()) {
    const std::string_view line = trim(text.substr(0, text.find('\n')));
    text.remove_prefix(
        std::min(text.size(), text.find('\n') == text.npos ? text.size() : text.find('\n') + 1));
    const std::size_t equals = line.find('=');
    if (line.starts_with('#') || equals == line.npos) continue;
    values.insert_or_assign(trim(line.substr(0, equals)), trim(line.substr(equals + 1)));
  }
  return values;
}

// Empty for a key that is not there, and for the words that stand for nothing.
std::string value_of(const Values& values, std::string_view key) {
  const auto value = values.find(key);
  if (value == values.end() || value->second == "default" || value->second == "<empty>") return {};
  return std::string(value->second);
}

bool is_netdev(const std::string& name) {
  return name.size() <= kNetdevBytesMax && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return c > ' ' && c < 0x7f && c != '/' && c != ':'; });
}

bool is_hwaddress(const std::string& text) {
  if (text.size() != kHwaddressBytes) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (i % 3 == 2 ? c != ':' : !is_hex) return false;
  }
  return true;
}

bool is_initiator_name(const std::string& name) {
  return name.size() <= kInitiatorNameBytesMax &&
         (name.starts_with("iqn.") || name.starts_with("eui.") || name.starts_with("naa.")) &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

Result<IfaceBinding> parse_iface_record(std::string_view text, const std::string& name) {
  if (text.size() > kIfaceRecordBytesMax) {
    return wrong(Errc::invalid_argument, name, "its record is larger than 64 KiB");
  }
  const Values values = read_values(text);
  const auto own_name = values.find("iface.iscsi_ifacename");
  if (own_name == values.end() || own_name->second != name) {
    return wrong(Errc::invalid_argument, name,
                 "its record is damaged: it does not say iface.iscsi_ifacename = " + name);
  }
  IfaceBinding binding{.netdev = value_of(values, "iface.net_ifacename"),
                       .hwaddress = value_of(values, "iface.hwaddress"),
                       .initiator_name = value_of(values, "iface.initiatorname")};
  const std::string transport = value_of(values, "iface.transport_name");
  if (!transport.empty()) binding.transport = transport;
  // What is wrong is not quoted: the record may hold anything.
  if (binding.transport != "tcp" && binding.transport != "iser") {
    return wrong(Errc::unsupported, name,
                 "iface.transport_name is neither tcp nor iser: offload cards are not supported");
  }
  if (!is_netdev(binding.netdev)) {
    return wrong(Errc::invalid_argument, name, "iface.net_ifacename is no name of a NIC");
  }
  if (!binding.hwaddress.empty() && !is_hwaddress(binding.hwaddress)) {
    return wrong(Errc::invalid_argument, name, "iface.hwaddress is no MAC address");
  }
  if (!binding.initiator_name.empty() && !is_initiator_name(binding.initiator_name)) {
    return wrong(Errc::invalid_argument, name, "iface.initiatorname is no iSCSI name");
  }
  if (!value_of(values, "iface.ipaddress").empty()) {
    return wrong(Errc::unsupported, name,
                 "iface.ipaddress is for offload cards: iscsid refuses it over tcp and iser; bind "
                 "to the NIC with iface.net_ifacename");
  }
  return binding;
}

}  // namespace hawser
