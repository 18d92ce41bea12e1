#include "model/scsi_device.h"

namespace hawser {

std::string to_string(const Hctl& hctl) {
  return std::to_string(hctl.host) + ":" + std::to_string(hctl.channel) + ":" +
         std::to_string(hctl.target) + ":" + std::to_string(hctl.lun);
}

std::string to_string(const DevT& dev) {
  return std::to_string(dev.major) + ":" + std::to_string(dev.minor);
}

}  // namespace hawser
