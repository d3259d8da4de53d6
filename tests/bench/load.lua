-- What wrk sends, chosen by the environment, and its figures as one line of JSON at the end. There is no function
-- `response`: it would make wrk the slowest part. That every answer is the expected one is seen from the statuses, which
-- wrk counts, and from the number of bytes that came back.
--
-- BENCH_HEADERS   lines "Name: value" for every request
-- BENCH_PIPELINE  how many requests leave in one write
-- BENCH_COOKIES   a file with one Cookie value a line; request after request takes the next

for line in (os.getenv("BENCH_HEADERS") or ""):gmatch("[^\r\n]+") do
  local name, value = line:match("^([^:]+): (.*)$")
  wrk.headers[name] = value
end

local depth = tonumber(os.getenv("BENCH_PIPELINE") or "1")
local cookies = os.getenv("BENCH_COOKIES")

if depth > 1 then
  local batch
  function init()
    batch = wrk.format():rep(depth)
  end
  function request()
    return batch
  end
elseif cookies then
  local requests, next_one = {}, 0
  function init()
    for cookie in io.lines(cookies) do
      wrk.headers["Cookie"] = cookie
      requests[#requests + 1] = wrk.format()
    end
  end
  function request()
    next_one = next_one % #requests + 1
    return requests[next_one]
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"seconds":%.6f,"bytes":%d,"p50_ms":%.4f,"p99_ms":%.4f,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
