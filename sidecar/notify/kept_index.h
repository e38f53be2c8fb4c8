// Which traces are kept for which alerts, within the limits: no I/O, no clock, no threads (its owner guards it). A
// trace is known as long as an alert refers to it: the top of its critical path, and its copy while there is room.
//
// When the copies outgrow Limits::all_bytes, those whose alerts were resolved longest ago go first; then, of alerts
// that fire, the oldest. Their path stays. An alert is forgotten Limits::keep_ns after its end.
//
// With a disk, a copy's bytes are here only until they are written (Written).
#ifndef SPANWATCH_SIDECAR_NOTIFY_KEPT_INDEX_H_
#define SPANWATCH_SIDECAR_NOTIFY_KEPT_INDEX_H_

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sidecar/notify/critical_path.h"
#include "sidecar/notify/kept_bytes.h"
#include "sidecar/notify/stored.h"
#include "spanwatch/ids.h"

namespace spanwatch::notify {

class KeptIndex {
 public:
  struct Limits {
    std::size_t each_bytes = std::size_t{256} << 10;
    std::size_t all_bytes = std::size_t{16} << 20;
    std::size_t incidents = 4096;
    std::int64_t keep_ns = 72 * 3'600'000'000'000;
  };
  struct Trace {
    CriticalPath path;
    std::uint32_t spans = 0;  // when it was looked at last
    bool complete = false;
    bool cut = false;       // the copy has the critical path alone
    std::size_t bytes = 0;  // of the copy; 0: there is none
    std::string body;       // empty: on disk
    std::uint64_t order = 0;
    std::set<std::string> incidents;
  };

  KeptIndex(Limits limits, bool has_disk) : limits_(limits), has_disk_(has_disk) {}

  const Limits& limits() const { return limits_; }
  // `resolved_ns`: wall clock, 0 while it fires. The trace that the incident referred to before may be forgotten.
  void Put(const std::string& incident, const std::string& alertname, const TraceId& trace, std::int64_t resolved_ns);
  // Of an incident that is known; else nothing happens.
  void Resolve(const std::string& incident, std::int64_t resolved_ns);
  void ForgetOld(std::int64_t wall_ns);

  // Null: no alert refers to it. Valid until the next call that changes something.
  const Trace* Find(const TraceId& id) const;
  // Null: not known, or without a trace.
  const Trace* FindOf(const std::string& incident) const;
  bool Fires(const std::string& incident) const;
  std::vector<std::string> Firing() const;
  std::vector<std::string> AlertNames(const Trace& trace) const;  // each once

  // True: the path is another one than before. The trace must be known.
  bool SetPath(const TraceId& id, CriticalPath path, std::uint32_t spans, bool complete);
  // How large a whole copy of it may be; 0: only what is cut. A part of the room is left to the latter.
  std::size_t RoomForWhole(const TraceId& id) const;
  void SetCopy(const TraceId& id, KeptBytes copy);

  std::size_t copies() const { return copies_; }
  std::size_t bytes() const { return bytes_; }

  // For the disk. What could not be read is left out and counted.
  std::size_t Load(const StoredKept& stored);
  // What differs from what the disk has. Exactly one of the other two must follow.
  KeptChanges TakeChanges();
  void Written(const KeptChanges& changes);
  void NotWritten(const KeptChanges& changes);
  // The file is another one: the copies that were in it alone are lost, the rest is to be written anew.
  void ForgetDisk();
  bool HasChanges() const { return reset_ || !changed_incidents_.empty() || !changed_traces_.empty(); }

 private:
  struct Incident {
    std::string alertname;
    std::string trace;  // key of traces_
    std::int64_t resolved_ns = 0;
    std::uint64_t order = 0;
  };
  // What goes first compares smallest.
  struct Age {
    bool fires = false;
    std::int64_t resolved_ns = 0;
    std::uint64_t order = 0;
    friend auto operator<=>(const Age&, const Age&) = default;
  };

  Age AgeOf(const Trace& trace) const;
  void Unlink(const std::string& incident, const std::string& trace);
  void Erase(std::map<std::string, Incident>::iterator it);
  void MakeRoomForIncident();
  void DropCopy(const std::string& id, Trace* trace);
  void DropCopiesBut(const std::string& id);
  void Changed(std::set<std::string>* set, const std::string& id) {
    if (has_disk_) set->insert(id);
  }

  const Limits limits_;
  const bool has_disk_;
  std::map<std::string, Incident> incidents_;
  std::map<std::string, Trace> traces_;  // by hex
  std::size_t copies_ = 0, bytes_ = 0;
  std::uint64_t last_order_ = 0;
  bool reset_ = false;
  std::set<std::string> changed_incidents_, changed_traces_;
};

}  // namespace spanwatch::notify

#endif  // SPANWATCH_SIDECAR_NOTIFY_KEPT_INDEX_H_
