-- Replays requests written as their length on a line and their bytes. https://github.com/wg/wrk/blob/master/SCRIPTING

local requests, last = {}, 0

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  for length in function() return file:read("*l") end do
    requests[#requests + 1] = file:read(tonumber(length))
  end
  file:close()
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency)
  local e = summary.errors
  local failed = e.status + e.connect + e.read + e.write + e.timeout
  local figures = { summary.requests, failed, summary.duration, latency:percentile(50), latency:percentile(99) }
  print("result " .. table.concat(figures, " "))
end
