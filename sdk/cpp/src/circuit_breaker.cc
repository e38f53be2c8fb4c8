#include "spanwatch/circuit_breaker.h"

#include <cstdio>
#include <new>

#include "sdk/cpp/src/breaker.h"

namespace spanwatch {

using internal::Breaker;

const char* BreakerStateName(BreakerState state) noexcept {
  switch (state) {
    case BreakerState::kOpen:
      return "open";
    case BreakerState::kHalfOpen:
      return "half_open";
    default:
      return "closed";
  }
}

BreakerPermit::BreakerPermit(Breaker* breaker, std::uint64_t era) noexcept
    : breaker_(breaker), era_(era), uncaught_(std::uncaught_exceptions()), allowed_(true) {}

BreakerPermit& BreakerPermit::operator=(BreakerPermit&& other) noexcept {
  if (this == &other) return *this;
  if (breaker_ != nullptr) breaker_->Tell(era_, Breaker::Verdict::kNone);
  breaker_ = other.breaker_;
  era_ = other.era_;
  uncaught_ = other.uncaught_;
  allowed_ = other.allowed_;
  other.breaker_ = nullptr;
  other.allowed_ = false;
  return *this;
}

BreakerPermit::~BreakerPermit() {
  if (breaker_ == nullptr) return;
  breaker_->Tell(era_, std::uncaught_exceptions() > uncaught_ ? Breaker::Verdict::kFailure : Breaker::Verdict::kNone);
}

void BreakerPermit::Success() noexcept {
  if (breaker_ != nullptr) breaker_->Tell(era_, Breaker::Verdict::kSuccess);
  breaker_ = nullptr;
}

void BreakerPermit::Failure() noexcept {
  if (breaker_ != nullptr) breaker_->Tell(era_, Breaker::Verdict::kFailure);
  breaker_ = nullptr;
}

CircuitOpen::CircuitOpen(std::string_view breaker) noexcept {
  std::snprintf(text_, sizeof(text_), "circuit breaker \"%.*s\" is open", static_cast<int>(breaker.size()),
                breaker.data());
}

CircuitBreaker::CircuitBreaker(std::string_view name, CircuitBreakerOptions options) noexcept
    : breaker_(new (std::nothrow) Breaker(name, std::move(options))) {}
CircuitBreaker::~CircuitBreaker() { delete breaker_; }

BreakerPermit CircuitBreaker::TryAcquire() noexcept {
  std::uint64_t era = 0;
  if (breaker_ != nullptr && !breaker_->Acquire(&era)) return BreakerPermit();
  return BreakerPermit(breaker_, era);
}

BreakerState CircuitBreaker::state() const noexcept {
  return breaker_ == nullptr ? BreakerState::kClosed : breaker_->state();
}
std::uint64_t CircuitBreaker::opened() const noexcept { return breaker_ == nullptr ? 0 : breaker_->opened(); }
std::uint64_t CircuitBreaker::refused() const noexcept { return breaker_ == nullptr ? 0 : breaker_->refused(); }
std::string_view CircuitBreaker::name() const noexcept {
  return breaker_ == nullptr ? std::string_view() : breaker_->name();
}
void CircuitBreaker::Open() noexcept {
  if (breaker_ != nullptr) breaker_->Force(BreakerState::kOpen);
}
void CircuitBreaker::Close() noexcept {
  if (breaker_ != nullptr) breaker_->Force(BreakerState::kClosed);
}

}  // namespace spanwatch
