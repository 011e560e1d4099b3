// The status page: a whole HTML page without anything from elsewhere.
#ifndef EMS_REST_PAGE_H_
#define EMS_REST_PAGE_H_

#include <string>
#include <string_view>

#include "rest/report.h"

namespace ems {

std::string StatusPage(const ServerReport& report);

// Returns text for HTML, also for a value in quotes.
std::string EscapeHtml(std::string_view text);

// Returns "3 d 4 h", "4 h 5 min", "5 min 6 s" or "6 s".
std::string DurationText(absl::Duration duration);

}  // namespace ems

#endif  // EMS_REST_PAGE_H_
