// Property: a target's name is taken exactly if it is one by the rules of RFC 7143 and RFC 3722, as
// far as ASCII goes; and one that is taken can be logged in to and have a node record, below the
// directory of node records.
#include <string>

#include "hawser/detail/assert.h"
#include "hawser/volume.h"

#include "wire/iscsid_message.h"
#include "wire/node_record.h"

namespace {

bool is_iscsi_name(const std::string& name) {
  const std::string type = name.substr(0, 4);
  return (type == "iqn." || type == "eui." || type == "naa.") && name.size() <= 223 &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
             ".-:_") == name.npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string name(data, data + size);
  hawser::VolumeSpec spec;
  spec.paths = {{.portal = {.host = "10.0.1.2"}, .target = name, .lun = 1}};
  const hawser::Status status = hawser::validate(spec);
  HAWSER_ASSERT(status.has_value() == is_iscsi_name(name));
  if (!status) {
    HAWSER_ASSERT(status.error().code() == hawser::Errc::invalid_argument);
    return 0;
  }
  const hawser::LoginRequest login{.target = name, .address = "10.0.1.2"};
  for (const hawser::IscsidLayout& layout : hawser::iscsid_layouts()) {
    if (layout.has(hawser::IscsidField::scan)) HAWSER_ASSERT(hawser::encode_login(layout, login));
  }
  const auto path = hawser::node_record_path(login);
  HAWSER_ASSERT(path && path->file == "nodes/" + name + "/10.0.1.2,3260,1/default");
  HAWSER_ASSERT(hawser::encode_node_record(login));
  return 0;
}
