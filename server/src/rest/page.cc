#include "rest/page.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace ems {
namespace {

constexpr char kHead[] = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>edge-model-server</title>
<link rel="icon" href="data:,">
<noscript><meta http-equiv="refresh" content="10"></noscript>
<style>
:root { color-scheme: light dark; --page: #f5f6f8; --card: #fff; --text: #1c2024; --soft: #5b6470; --line: #dfe3e8;
  --good: #12683c; --good-back: #d9f2e3; --warn: #7a4b00; --warn-back: #fdecc8; --bad: #9b1c1c; --bad-back: #fde2e1; }
@media (prefers-color-scheme: dark) { :root { --page: #14171a; --card: #1d2125; --text: #e8eaed; --soft: #a0a9b4;
  --line: #32383f; --good: #7fdca6; --good-back: #15391f; --warn: #f3c76b; --warn-back: #40300c; --bad: #ff9d97;
  --bad-back: #471a1a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem .75rem; }
h1 { font-size: 1.25rem; margin: 0; }
h2 { font-size: 1rem; margin: 1.5rem 0 .5rem; color: var(--soft); font-weight: 600; }
h3 { font-size: 1.05rem; margin: 0; overflow-wrap: anywhere; }
.soft { color: var(--soft); font-size: .875rem; overflow-wrap: anywhere; }
.cards { display: grid; align-items: start; gap: .75rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .875rem 1rem; }
.top { display: flex; justify-content: space-between; align-items: start; gap: .75rem; }
.state { border-radius: 1rem; padding: 0 .625rem; font-size: .8125rem; font-weight: 600; white-space: nowrap;
  background: var(--line); }
.good { color: var(--good); background: var(--good-back); }
.warn { color: var(--warn); background: var(--warn-back); }
.bad { color: var(--bad); background: var(--bad-back); }
.version { border-top: 1px solid var(--line); margin-top: .625rem; padding-top: .625rem; }
.error { color: var(--bad); font-size: .875rem; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(4.75rem, 1fr)); gap: .5rem; margin: .625rem 0 0; }
dt { color: var(--soft); font-size: .75rem; }
dd { margin: 0; font-variant-numeric: tabular-nums; }
</style>
</head>
<body>
<main>
)";

// The page asks for itself, so that scrolling and selection stay; without JavaScript it is loaded again.
constexpr char kTail[] = R"(</main>
<script>
setInterval(async () => {
  if (document.hidden) return;
  try {
    const reply = await fetch(location.href, {cache: "no-store"});
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    document.querySelector("main").replaceWith(page.querySelector("main"));
  } catch (error) {
    const state = document.querySelector("header .state");
    state.textContent = "No answer";
    state.className = "state bad";
  }
}, 5000);
</script>
</body>
</html>
)";

std::string Pill(std::string_view text, std::string_view kind) {
  return absl::StrCat("<span class=\"state ", std::string(kind), "\">", EscapeHtml(text), "</span>");
}

std::string VersionPill(VersionState state, bool failed) {
  switch (state) {
    case VersionState::kAvailable:
      return Pill("available", "good");
    case VersionState::kLoading:
      return Pill("loading", "warn");
    case VersionState::kUnloading:
      return Pill("unloading", "warn");
    case VersionState::kEnd:
      return failed ? Pill("failed", "bad") : Pill("ended", "");
    default:
      return Pill("waiting", "");
  }
}

std::string DevicePill(std::string_view state) {
  return Pill(state, state == "ok" ? "good" : state == "suspect" ? "warn" : "bad");
}

std::string LatencyText(absl::Duration latency) {
  const double ms = absl::ToDoubleMilliseconds(latency);
  if (ms <= 0) return "–";
  return ms < 10 ? absl::StrFormat("%.2f ms", ms) : absl::StrFormat("%.0f ms", ms);
}

std::string Figure(std::string_view name, const std::string& value) {
  return absl::StrCat("<div><dt>", std::string(name), "</dt><dd>", value, "</dd></div>\n");
}

std::string VersionHtml(const VersionPart& version) {
  std::string html = absl::StrCat("<div class=\"version\">\n<div class=\"top\"><div>Version ", version.status.version);
  for (const std::string& label : version.labels) {
    absl::StrAppend(&html, " <span class=\"state\">", EscapeHtml(label), "</span>");
  }
  absl::StrAppend(&html, "</div>", VersionPill(version.status.state, !version.status.error.ok()), "</div>\n");
  for (const Placement& placement : version.placements) {
    absl::StrAppend(&html, "<div class=\"soft\">", EscapeHtml(placement.part), placement.part.empty() ? "" : " ", "on ",
                    EscapeHtml(placement.device));
    if (placement.state != "ok") absl::StrAppend(&html, ", ", EscapeHtml(placement.state));
    if (!placement.detail.empty()) absl::StrAppend(&html, ": ", EscapeHtml(placement.detail));
    absl::StrAppend(&html, "</div>\n");
  }
  if (!version.status.error.ok()) {
    absl::StrAppend(&html, "<div class=\"error\">", EscapeHtml(std::string(version.status.error.message())),
                    "</div>\n");
  }
  return html + "</div>\n";
}

std::string ModelHtml(const ModelPart& model) {
  const bool available = std::any_of(model.versions.begin(), model.versions.end(), [](const VersionPart& version) {
    return version.status.state == VersionState::kAvailable;
  });
  std::string html = absl::StrCat("<section class=\"card\">\n<div class=\"top\"><h3>", EscapeHtml(model.name), "</h3>",
                                  available ? Pill("serving", "good") : Pill("not served", "bad"),
                                  "</div>\n<div class=\"soft\">", EscapeHtml(model.base_path), "</div>\n<dl>\n");
  const Traffic& traffic = model.traffic;
  absl::StrAppend(&html, Figure("requests", absl::StrCat(traffic.requests)),
                  Figure("per second", absl::StrFormat("%.1f", model.requests_per_second)),
                  Figure("errors", absl::StrCat(traffic.errors)), Figure("mean run", LatencyText(traffic.mean_latency)),
                  Figure("90 % below", LatencyText(traffic.latency_90th)), "</dl>\n");
  for (const VersionPart& version : model.versions) absl::StrAppend(&html, VersionHtml(version));
  if (model.versions.empty()) absl::StrAppend(&html, "<div class=\"error\">no versions in the folder</div>\n");
  return html + "</section>\n";
}

std::string DeviceHtml(const DeviceSample& device) {
  std::string html = absl::StrCat("<section class=\"card\">\n<div class=\"top\"><h3>", EscapeHtml(device.name), "</h3>",
                                  DevicePill(device.state), "</div>\n");
  if (!device.detail.empty()) {
    absl::StrAppend(&html, "<div class=\"", device.state == "ok" ? "soft" : "error", "\">", EscapeHtml(device.detail),
                    "</div>\n");
  }
  absl::StrAppend(&html, "<dl>\n", Figure("runs", absl::StrCat(device.runs)),
                  Figure("failures", absl::StrCat(device.failures)), Figure("restarts", absl::StrCat(device.restarts)),
                  "</dl>\n</section>\n");
  return html;
}

}  // namespace

std::string EscapeHtml(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string DurationText(absl::Duration duration) {
  const int64_t seconds = absl::ToInt64Seconds(duration);
  if (seconds >= 86400) return absl::StrCat(seconds / 86400, " d ", seconds % 86400 / 3600, " h");
  if (seconds >= 3600) return absl::StrCat(seconds / 3600, " h ", seconds % 3600 / 60, " min");
  if (seconds >= 60) return absl::StrCat(seconds / 60, " min ", seconds % 60, " s");
  return absl::StrCat(seconds, " s");
}

std::string StatusPage(const ServerReport& report) {
  std::string html =
      absl::StrCat(kHead, "<header><h1>edge-model-server</h1>",
                   report.ready ? Pill("Ready", "good") : Pill("Not ready", "bad"), "</header>\n<div class=\"soft\">");
  if (!report.version.empty()) absl::StrAppend(&html, "version ", EscapeHtml(report.version), " · ");
  absl::StrAppend(&html, "up ", DurationText(report.uptime), " · memory ",
                  absl::StrFormat("%.1f", static_cast<double>(report.resident_bytes) / 1e6), " MB</div>\n",
                  "<h2>Models</h2>\n<div class=\"cards\">\n");
  for (const ModelPart& model : report.models) absl::StrAppend(&html, ModelHtml(model));
  if (report.models.empty()) absl::StrAppend(&html, "<section class=\"card\">No model is configured.</section>\n");
  absl::StrAppend(&html, "</div>\n");
  if (!report.devices.empty()) {
    absl::StrAppend(&html, "<h2>Devices</h2>\n<div class=\"cards\">\n");
    for (const DeviceSample& device : report.devices) absl::StrAppend(&html, DeviceHtml(device));
    absl::StrAppend(&html, "</div>\n");
  }
  return html + kTail;
}

}  // namespace ems
