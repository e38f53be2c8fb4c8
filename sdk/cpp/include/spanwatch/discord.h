// Discord messages: one trace each, telling nothing about the people.
//
//   cluster.on_message_create(spanwatch::WrapMessageHandler([&](const dpp::message_create_t& event) {
//     event.reply(bot.Answer(event.msg.content));   // all spans in here belong to this message's trace
//   }));
//
// No Discord library is needed or known: anything with the members below is a message.
//
//   event.msg or event itself         the message
//   .content                          a text: its length is kept, nothing else
//   .author.id, .author_id, .authorId a number, something that converts to one, or a text: hashed (HashUserId)
//   .attachments                      a container, or a count
#ifndef SPANWATCH_DISCORD_H_
#define SPANWATCH_DISCORD_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "spanwatch/redaction.h"
#include "spanwatch/span.h"

#pragma GCC visibility push(default)
namespace spanwatch {
namespace internal {

template <typename T>
using MsgExpression = decltype(std::declval<const T&>().msg);
template <typename T>
using ContentExpression = decltype(std::string_view(std::declval<const T&>().content));
template <typename T>
using AuthorIdExpression = decltype(std::declval<const T&>().author.id);
template <typename T>
using AuthorIdSnakeExpression = decltype(std::declval<const T&>().author_id);
template <typename T>
using AuthorIdCamelExpression = decltype(std::declval<const T&>().authorId);
template <typename T>
using AttachmentsExpression = decltype(std::declval<const T&>().attachments);
template <typename T>
using EmptyExpression = decltype(static_cast<bool>(std::declval<const T&>().empty()));

template <typename Event>
decltype(auto) MessageOf(const Event& event) {
  if constexpr (kHas<MsgExpression, Event>)
    return (event.msg);
  else
    return (event);
}

template <typename Id>
std::string HashAuthor(const Id& id) {
  if constexpr (std::is_convertible_v<const Id&, std::string_view>)
    return HashUserId(std::string_view(id));
  else
    return HashUserId(static_cast<std::uint64_t>(id));
}

template <typename Message>
void SetMessageTags(Span& span, const Message& message) {
  if constexpr (kHas<AuthorIdExpression, Message>)
    span.SetTag("userId", HashAuthor(message.author.id));
  else if constexpr (kHas<AuthorIdSnakeExpression, Message>)
    span.SetTag("userId", HashAuthor(message.author_id));
  else if constexpr (kHas<AuthorIdCamelExpression, Message>)
    span.SetTag("userId", HashAuthor(message.authorId));
  if constexpr (kHas<ContentExpression, Message>)
    span.SetTag("messageLength", std::string_view(message.content).size());
  if constexpr (kHas<AttachmentsExpression, Message>) {
    using Attachments = std::decay_t<decltype(message.attachments)>;
    if constexpr (kHas<EmptyExpression, Attachments>)
      span.SetTag("hasAttachments", !message.attachments.empty());
    else
      span.SetTag("hasAttachments", message.attachments > 0);
  }
}

}  // namespace internal

// The root span of a message's trace: kind kConsumer, tags userId (hashed), messageLength, hasAttachments. For handlers
// that are coroutines, and wherever WrapMessageHandler does not fit.
template <typename Event>
Span MessageSpan(const Event& event, Text name = "messageCreate") {
  Span span(name, SpanKind::kConsumer, Context());
  if (span.IsRecording()) internal::SetMessageTags(span, internal::MessageOf(event));
  return span;
}

// handler, called in a MessageSpan. It gets the arguments as they came (the first is the event or the message), or a
// Span& before them; exceptions are recorded and pass through, futures and awaitables come back as of Traced().
template <typename Handler>
auto WrapMessageHandler(Handler&& handler) {
  return [wrapped = std::forward<Handler>(handler)](auto&& event, auto&&... more) mutable -> decltype(auto) {
    Span span = MessageSpan(event);
    return internal::RunAsync(span, wrapped, std::forward<decltype(event)>(event),
                              std::forward<decltype(more)>(more)...);
  };
}

}  // namespace spanwatch

#pragma GCC visibility pop

#endif  // SPANWATCH_DISCORD_H_
