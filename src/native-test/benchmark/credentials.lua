-- Asks for credentials as a pod's SDK does, with the tokens of a file in turn. Arguments after "--": the file of tokens, one a
-- line, and "keep-alive" or "close". The last line of the output is for the harness to read.

local requests = {}
local next_request = 0

function init(args)
  local headers = { ["Host"] = "169.254.170.23" }
  if args[2] == "close" then
    headers["Connection"] = "close"
  end
  for token in io.lines(args[1]) do
    headers["Authorization"] = token
    requests[#requests + 1] = wrk.format("GET", nil, headers)
  end
  if #requests > 1 then
    -- Only where it is needed: without a function wrk makes the request once, and has more of the processor for the load.
    request = function()
      next_request = next_request % #requests + 1
      return requests[next_request]
    end
  else
    wrk.headers = headers
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    "benchmark: requests=%d micros=%d p50=%d p99=%d connect=%d read=%d write=%d timeout=%d status=%d\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
