// Text of protocols: ASCII, whatever the locale. Debian's Abseil does not take std::string_view.
#ifndef EMS_BASE_TEXT_H_
#define EMS_BASE_TEXT_H_

#include <string>
#include <string_view>
#include <vector>

namespace ems {

// Returns the text in lower case.
std::string Lower(std::string_view text);
bool EqualsIgnoreCase(std::string_view a, std::string_view b);
bool StartsWith(std::string_view text, std::string_view prefix);
bool EndsWith(std::string_view text, std::string_view suffix);
// Returns the text without spaces and tabs around it.
std::string_view Trim(std::string_view text);
// Returns the parts between separators, empty ones too; at least one.
std::vector<std::string_view> Split(std::string_view text, char separator);

}  // namespace ems

#endif  // EMS_BASE_TEXT_H_
