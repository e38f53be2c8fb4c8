// Search over the stored traces, in short holds of the engine's mutex: one ends when so many bytes of spans were looked
// at, also inside a trace, and the next goes on from there. A trace that goes in between is no longer searched; spans
// that come in between may be missed.
#include <algorithm>
#include <optional>
#include <utility>

#include "sidecar/core/engine_impl.h"
#include "sidecar/core/span_detail.h"
#include "sidecar/core/trace_summary.h"

namespace spanwatch::core {
namespace {

constexpr std::size_t kMaxTags = 64;
// What one hold may look at, in bytes. A trace costs a few misses of the cache; for a summary, the parents of orphans
// are looked up.
constexpr std::int64_t kHoldBytes = 256 << 10;
constexpr std::int64_t kTraceCost = 512, kSpanCost = sizeof(StoredSpan), kSummaryCost = 2 * kSpanCost;
constexpr std::uint32_t kSpansPerStep = 512;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  return lower;
}

// A query, taken apart once: what the trace must be, what a span must be by its fields, and which attributes must be
// there. Valid as long as the query.
class Plan {
 public:
  explicit Plan(const TraceQuery& query) : query_(query), error_text_(Lower(query.error_text)) {
    for (const NameValue& tag : query.tags) AddTag(tag);
    if (!query.correlation_id.empty()) {
      TraceId id;
      if (TraceId::FromHex(query.correlation_id, &id)) correlation_trace_ = id;
      correlation_.emplace_back("correlation.id", query.correlation_id);
    }
  }

  // From one hold to the next, numbers of names may come to mean something else.
  void BeginHold() {
    operation_ = kNone;
    resource_ = kNone;
  }

  struct Progress {
    std::uint32_t next = 0;
    bool wants_span = false, wants_correlation = false, wants_error = false;
    bool Done() const { return !wants_span && !wants_correlation && !wants_error; }
  };

  // By the trace's own figures. Nothing: it cannot match.
  std::optional<Progress> Begin(const Trace& trace) const {
    if (impossible_ || trace.spans.empty() || trace.DurationNs() < query_.min_duration_ns) return std::nullopt;
    if (trace.min_start_ns > query_.end_ns) return std::nullopt;
    if (query_.status == TraceQuery::Status::kError && trace.errors == 0) return std::nullopt;
    if (query_.by_span) {
      if (trace.max_end_ns < query_.start_ns) return std::nullopt;  // a span starts before it ends
    } else if (trace.min_start_ns < query_.start_ns || trace.DurationNs() > query_.max_duration_ns ||
               (query_.status == TraceQuery::Status::kSuccess && trace.errors != 0)) {
      return std::nullopt;
    }
    Progress progress;
    progress.wants_span =
        query_.by_span || !query_.service.empty() || !query_.operation.empty() || !query_.tags.empty();
    progress.wants_correlation = !query_.correlation_id.empty() && correlation_trace_ != trace.id;
    progress.wants_error = !error_text_.empty() && !query_.by_span;
    return progress;
  }

  // Looks at further spans until all was found, the spans end or *budget is used up.
  void Look(const Trace& trace, const Catalog& catalog, Progress* progress, std::int64_t* budget) {
    while (!progress->Done() && progress->next < trace.spans.size() && *budget > 0) {
      const StoredSpan& span = trace.spans[progress->next++];
      *budget -= kSpanCost;
      if (progress->wants_span && Fits(trace, span, catalog, budget)) progress->wants_span = false;
      if (!progress->wants_correlation && !progress->wants_error) continue;
      const std::string_view detail = trace.detail(span);
      *budget -= span.detail_size;
      if (progress->wants_correlation && FindTags(detail, correlation_, 1) != 0) progress->wants_correlation = false;
      if (progress->wants_error && HasErrorText(detail, span.status == StatusCode::kError, error_text_))
        progress->wants_error = false;
    }
  }

 private:
  // Keys that mean a field of the span or its resource.
  void AddTag(const NameValue& tag) {
    const std::string_view key = tag.name;
    const std::string value = Lower(tag.value);
    if (key == "error" && (value == "true" || value == "false")) {
      impossible_ |= error_ && *error_ != (value == "true");
      error_ = value == "true";
    } else if (key == "span.kind") {
      kinds_.push_back(value);
    } else if (key == "span.status" || key == "status.code" || key == "otel.status_code") {
      statuses_.push_back(value);
    } else if (key == "scope.name" || key == "otel.scope.name" || key == "otel.library.name") {
      scopes_.push_back(tag.value);
    } else if (tags_.size() == kMaxTags) {
      impossible_ = true;
    } else {
      constexpr std::string_view kResource = "resource.";
      const bool of_resource = key.starts_with(kResource);
      tags_.emplace_back(key, tag.value);
      resource_tags_.emplace_back(of_resource ? key.substr(kResource.size()) : key, tag.value);
      all_tags_ = all_tags_ << 1 | 1;
    }
  }

  bool Fits(const Trace& trace, const StoredSpan& span, const Catalog& catalog, std::int64_t* budget) {
    if (span.operation != operation_) {
      const Operation& operation = catalog.operation(operation_ = span.operation);
      service_fits_ = query_.service.empty() || catalog.service_name(operation.service) == query_.service;
      name_fits_ = query_.operation.empty() || operation.name == query_.operation;
      folds_ = operation.folds;
      resource_ = kNone;  // one without attributes of its own is its service's
    }
    if (!service_fits_ || (!name_fits_ && !folds_) || !FieldsFit(span, catalog)) return false;
    const std::uint64_t missing = all_tags_ & ~TagsOfResource(span, catalog);
    if (name_fits_ && missing == 0 && (!query_.by_span || error_text_.empty())) return true;
    const std::string_view detail = trace.detail(span);
    *budget -= span.detail_size;
    if (!name_fits_ && DetailName(detail) != query_.operation) return false;
    if (query_.by_span && !error_text_.empty() &&
        !HasErrorText(detail, span.status == StatusCode::kError, error_text_)) {
      return false;
    }
    return missing == 0 || FindTags(detail, tags_, missing) == missing;
  }

  bool FieldsFit(const StoredSpan& span, const Catalog& catalog) const {
    const bool failed = span.status == StatusCode::kError;
    if (query_.by_span) {
      const std::int64_t duration = span.end_ns - span.start_ns;
      if (span.start_ns < query_.start_ns || span.start_ns > query_.end_ns) return false;
      if (duration < query_.min_duration_ns || duration > query_.max_duration_ns) return false;
      if (query_.status != TraceQuery::Status::kAny && failed != (query_.status == TraceQuery::Status::kError))
        return false;
    }
    if (error_ && failed != *error_) return false;
    for (const std::string& kind : kinds_) {
      if (kind != ToString(span.kind)) return false;
    }
    for (const std::string& status : statuses_) {
      if (status != ToString(span.status)) return false;
    }
    return std::all_of(scopes_.begin(), scopes_.end(),
                       [&](const std::string& scope) { return scope == catalog.scope_name(span.scope); });
  }

  std::uint64_t TagsOfResource(const StoredSpan& span, const Catalog& catalog) {
    if (all_tags_ == 0 || span.resource == resource_) return resource_found_;
    resource_ = span.resource;
    resource_found_ = FindTagsEncoded(catalog.resource(span.resource), resource_tags_, all_tags_);
    if (span.resource != 0) return resource_found_;
    const std::string_view service = catalog.service_name(catalog.operation(span.operation).service);
    for (std::size_t i = 0; i < resource_tags_.size(); ++i) {
      if (resource_tags_[i].Matches({"service.name", AttributeType::kString, 0, 0, service}))
        resource_found_ |= std::uint64_t{1} << i;
    }
    return resource_found_;
  }

  const TraceQuery& query_;
  const std::string error_text_;
  std::vector<TagMatch> correlation_, tags_, resource_tags_;
  std::optional<TraceId> correlation_trace_;
  std::uint64_t all_tags_ = 0;
  bool impossible_ = false;
  std::optional<bool> error_;
  std::vector<std::string> kinds_, statuses_, scopes_;
  // Of the last span that was looked at: its neighbours share it.
  std::uint32_t operation_ = kNone, resource_ = kNone;
  bool service_fits_ = false, name_fits_ = false, folds_ = false;
  std::uint64_t resource_found_ = 0;
};

class Search {
 public:
  explicit Search(const TraceQuery& query) : query_(query), plan_(query) {}

  // One hold. False: all traces were looked at.
  bool Scan(const TraceStore& store, const Catalog& catalog) {
    plan_.BeginHold();
    std::int64_t budget = kHoldBytes;
    while (budget > 0 && slot_ < store.slot_count()) {
      const Trace& trace = store.trace(slot_);
      budget -= kTraceCost;
      if (!progress_ && trace.live) {
        progress_ = plan_.Begin(trace);
        serial_ = trace.serial;
      }
      if (progress_ && trace.live && trace.serial == serial_) {
        plan_.Look(trace, catalog, &*progress_, &budget);
        if (progress_->Done()) {
          found_.push_back({Key(trace), trace.min_start_ns, trace.serial, slot_});
        } else if (progress_->next < trace.spans.size()) {
          return true;
        }
      }
      progress_.reset();
      ++slot_;
    }
    return slot_ < store.slot_count();
  }

  // The page that is wanted, in its order.
  void Rank() {
    total_ = found_.size();
    const std::size_t end =
        query_.limit < total_ - std::min(query_.offset, total_) ? query_.offset + query_.limit : total_;
    std::partial_sort(found_.begin(), found_.begin() + static_cast<std::ptrdiff_t>(end), found_.end(),
                      [](const Found& a, const Found& b) {
                        if (a.key != b.key) return a.key > b.key;
                        return a.start_ns != b.start_ns ? a.start_ns > b.start_ns : a.serial > b.serial;
                      });
    found_.resize(end);
    shown_ = std::min(query_.offset, end);
    summaries_.reserve(end - shown_);
  }

  // One hold. False: the page is complete.
  bool Summarise(const TraceStore& store, const Catalog& catalog) {
    for (std::int64_t budget = kHoldBytes; budget > 0 && shown_ < found_.size();) {
      const Found& found = found_[shown_];
      const Trace& trace = store.trace(found.slot);
      budget -= kTraceCost;
      if (trace.live && trace.serial == found.serial) {
        if (!summariser_) summariser_.emplace(trace);
        while (!summariser_->done() && budget > 0) {
          budget -= std::min(kSpansPerStep, summariser_->left()) * kSummaryCost;
          summariser_->Add(trace, catalog, kSpansPerStep);
        }
        if (!summariser_->done()) return true;
        summaries_.push_back(summariser_->Take(trace, catalog));
      }
      summariser_.reset();
      ++shown_;
    }
    return shown_ < found_.size();
  }

  std::size_t total() const { return total_; }
  std::vector<TraceSummary> Take() { return std::move(summaries_); }

 private:
  struct Found {
    std::int64_t key, start_ns;
    std::uint64_t serial;
    std::uint32_t slot;
  };

  std::int64_t Key(const Trace& trace) const {
    switch (query_.sort) {
      case TraceQuery::Sort::kNewest:
        break;
      case TraceQuery::Sort::kLongest:
        return trace.DurationNs();
      case TraceQuery::Sort::kMostErrors:
        return trace.errors;
      case TraceQuery::Sort::kMostSpans:
        return static_cast<std::int64_t>(trace.spans.size());
    }
    return trace.min_start_ns;
  }

  const TraceQuery& query_;
  Plan plan_;
  std::uint32_t slot_ = 0;
  std::uint64_t serial_ = 0;
  std::optional<Plan::Progress> progress_;  // of the trace in slot_, if the last hold ended inside it
  std::vector<Found> found_;
  std::size_t total_ = 0, shown_ = 0;
  std::optional<TraceSummariser> summariser_;  // of found_[shown_]
  std::vector<TraceSummary> summaries_;
};

}  // namespace

TraceSummary Engine::Impl::Summarise(const Trace& trace) const {
  TraceSummariser summariser(trace);
  summariser.Add(trace, catalog_, kNone);
  return summariser.Take(trace, catalog_);
}

std::vector<TraceSummary> Engine::Impl::FindTraces(const TraceQuery& query, std::size_t* total) const {
  Search search(query);
  for (bool more = true; more;) {
    MutexLock lock(&mutex_);
    more = search.Scan(store_, catalog_);
  }
  search.Rank();
  for (bool more = true; more;) {
    MutexLock lock(&mutex_);
    more = search.Summarise(store_, catalog_);
  }
  if (total != nullptr) *total = search.total();
  return search.Take();
}

}  // namespace spanwatch::core
