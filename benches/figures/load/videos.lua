-- One request repeated: a list of 20 videos, or a new video when BODY is set. The last line is for the harness.
local token, body = os.getenv("TOKEN"), os.getenv("BODY")
wrk.headers["Authorization"] = "Bearer " .. token
if body then
  wrk.method = "POST"
  wrk.body = body
  wrk.headers["Content-Type"] = "application/json"
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    "FIGURES requests=%d duration_us=%d p50_us=%d p99_us=%d max_us=%d failed=%d\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
