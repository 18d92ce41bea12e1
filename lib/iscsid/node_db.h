#pragma once

#include <string>

#include "hawser/ctx.h"

#include "model/login.h"

namespace hawser {

// open-iscsi's database of nodes, written under its own lock. Thread-safe.
// Source: open-iscsi usr/idbm.c, idbm_lock() and idbm_rec_write().
class NodeDb {
 public:
  // `root` holds "nodes": /etc/iscsi or, since open-iscsi 2.1.7, /var/lib/iscsi.
  NodeDb(std::string root, std::string lock_dir)
      : root_(std::move(root)), lock_dir_(std::move(lock_dir)) {}

  const std::string& root() const { return root_; }

  Result<bool> contains(const LoginRequest& request) const;
  // A record appears whole, readable by root only, or not at all. One that is there is left alone.
  //
  // Errors: invalid_argument; busy (open-iscsi's lock was held until the deadline: it has no owner,
  // so a crash of iscsiadm leaves it behind; the message names the file), cancelled, io.
  Status add(const Ctx& ctx, const LoginRequest& request) const;
  // Removes the record, and directories that are empty then. Not there is success.
  Status remove(const Ctx& ctx, const LoginRequest& request) const;

 private:
  const std::string root_;
  const std::string lock_dir_;
};

// The database of this machine: which directory it is was compiled into iscsid, so we look which is
// there. `prefix` stands before every path.
NodeDb system_node_db(const std::string& prefix = "");

}  // namespace hawser
