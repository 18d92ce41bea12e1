// What must hold whatever happens.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "sim/scene.h"

namespace hawser {

// Remembers the first thing that was not as it must be.
class Findings {
 public:
  void expect(bool holds, const std::string& text) {
    if (!holds && !first_) first_ = text;
  }
  const std::optional<std::string>& first() const { return first_; }

 private:
  std::optional<std::string> first_{};
};

// Looks at the world after every change in it.
class Invariants {
 public:
  Invariants(Scene& scene, Findings& findings) : scene_(scene), findings_(findings) {}

  // What is to be done to a volume next. Whatever belongs to others must stay as it is meanwhile.
  struct Licence {
    bool touches = false;
    bool loses_data = false;
    bool shrinks = false;
  };
  void begin(const std::map<std::string, Licence>& licences);

  void look();
  // Also if nothing has changed but the logs.
  void look_at_all();

 private:
  struct Kept {
    std::string volume{};
    std::set<std::uint32_t> sids{};
    std::map<std::uint32_t, DevT> joining{};  // Sessions of joins that have not ended: their disks.
    std::map<std::string, DevT> devices{};    // By name.
    std::map<std::string, std::vector<DevT>> maps{};
  };

  void check_foreign() const;
  void check_kept() const;
  void check_accounts();
  void check_new_paths() const;
  void check_sizes() const;
  void check_data() const;
  void follow_openers();
  bool is_excused(const ScsiDevice& device) const;
  bool may_be_forced() const;
  std::string unit_of(const std::string& uuid) const;
  std::map<std::string, std::string> handed_out() const;

  Scene& scene_;
  Findings& findings_;
  std::map<std::string, Licence> licences_{};
  std::vector<Kept> kept_{};
  unsigned seen_changes_ = 0;
  std::map<std::string, Map> maps_before_{};
  std::map<std::string, std::string> handed_out_{};  // Unit of an attached volume: its node.
  std::set<std::string> open_since_begin_{};
};

}  // namespace hawser
