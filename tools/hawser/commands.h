#pragma once

#include <string>

#include "hawser/client.h"

#include "spec_input.h"

namespace hawser::cli {

// What every command takes.
struct Common {
  bool json = false;
  bool log_json = false;
  std::string log_level = "warning";
  std::string state_dir = "/var/lib/hawser";
  std::string engine = "iscsid";
  double timeout_s = 60;
};

struct AttachArguments {
  SpecOptions spec{};
  std::string multipath = "preferred";
  std::string expect_wwid{};
  int min_paths = 0;
  double grace_s = -1;
  int login_timeout_s = 15;
  bool node_record = false;
};

struct DetachArguments {
  std::string id{};
  SpecOptions spec{};
  bool force = false;
  bool ignore_errors = false;
};

// Each prints its result, or its error, as the contract says, and returns the exit status.
int run_attach(const Common& common, const AttachArguments& arguments);
int run_detach(const Common& common, const DetachArguments& arguments);
int run_list(const Common& common);
int run_show(const Common& common, const std::string& id);
int run_log(const Common& common, const std::string& id);
int run_recover(const Common& common);
int run_discover(const Common& common, const std::string& portal, const std::string& chap_file);
int run_sessions(const Common& common);

// Prints an error and returns the exit status that goes with it.
int report(const Common& common, const Error& error);

}  // namespace hawser::cli
