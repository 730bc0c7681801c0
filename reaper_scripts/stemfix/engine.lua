-- engine: hand a job to the engine through the spool, follow it, stop it, and start the engine.
return function (lib)
  local M = {}
  local files = lib.use ("files")
  local r = reaper
  --- A heartbeat that is older comes from an engine that is gone.
  local FRESH_S = 5
  local START_S = 30
  local RESTARTS = 2
  local stages = { read = "Reading", separate = "Separating", enhance = "Enhancing", align = "Checking alignment",
    publish = "Writing" }
  --- Starts one engine, detached, however often it is called.
  local STARTER = [[
import os
import sys

os.environ["STEMFIX_DATA_DIR"] = sys.argv[1]
from engine.service.autostart import ensure_engine

ensure_engine()
]]

  local function data (name)
    return lib.settings ().data_dir .. "/" .. name
  end

  --- The folder of a job in the spool.
  function M.folder (id)
    return data ("spool/" .. id)
  end

  --- Whether an engine works on this data folder.
  function M.alive ()
    local beat = files.read_json (data ("engine.json"))
    if not beat or not beat.time or math.abs (os.time () - beat.time) > FRESH_S then return false end
    -- A killed engine leaves its last heartbeat; on Linux its process tells at once.
    if beat.pid and files.exists ("/proc/self/stat") and not files.exists (("/proc/%d/stat"):format (beat.pid)) then
      return false
    end
    return true
  end

  --- What tells ExecProcess not to wait; on Windows to minimise, too.
  function M.without_waiting ()
    return r.GetOS ():match ("^Win") and -2 or -1
  end

  local function start ()
    local python = lib.settings ().python
    lib.log ("Starting the engine with", python)
    if not files.exists (python) then
      lib.fail ("The stemfix engine can't be started: " .. python .. " is not there. Nothing was changed."
        .. " Run: stemfix daw install reaper")
    end
    -- A file, since a program in the command itself would have quotes within quotes.
    files.make_folder (data ("reaper"))
    files.write (data ("reaper/start_engine.py"), STARTER)
    r.ExecProcess (('"%s" "%s" "%s"'):format (python, data ("reaper/start_engine.py"), lib.settings ().data_dir),
      M.without_waiting ())
  end

  --- Put a job into its folder: `fields` as the spool's manual has them. Does nothing for one that is there.
  function M.submit (id, fields)
    local folder = M.folder (id)
    if files.exists (folder .. "/job.json") then return end
    fields.spool_version, fields.client, fields.priority = "1.0", "reaper", "daw"
    files.make_folder (folder)
    files.write_json (folder .. "/job.json", fields)
  end

  function M.cancel (id)
    if files.exists (M.folder (id) .. "/job.json") then lib.try (files.write, M.folder (id) .. "/cancel", "") end
  end

  --- { done, state, text, progress, result } of a job: what the engine says of it.
  function M.look (id)
    local status = files.read_json (M.folder (id) .. "/status.json")
    if not status then return { state = "new", progress = 0, text = "Waiting for the engine" } end
    if status.state ~= "queued" and status.state ~= "running" then
      local result = files.read_json (M.folder (id) .. "/result.json")
      if result and result.state then
        return { done = true, state = result.state, progress = 1, text = "Done", result = result }
      end
    end
    local text = stages[status.stage] or status.state == "queued" and "Waiting for other jobs" or "Working"
    if status.eta_s and status.eta_s >= 1 then
      local left = math.ceil (status.eta_s)
      text = text .. (left < 90 and (", %d s left"):format (left) or (", %d min left"):format ((left + 30) // 60))
    end
    return { state = status.state, progress = status.progress or 0, text = text }
  end

  --- A watch over the engine: call it often while jobs are waited for. It starts an engine where there is none,
  -- again where one dies, and fails where none comes.
  function M.watch ()
    local started_at, starts = nil, 0
    return function ()
      if M.alive () then
        started_at = nil
        return
      end
      if started_at then
        if r.time_precise () - started_at < START_S then return end
        lib.fail ("The stemfix engine does not start. Nothing was changed. Try in a terminal: stemfix doctor")
      end
      if starts > RESTARTS then
        lib.fail (("The stemfix engine stopped %d times while it worked on this. Nothing was changed."):format (starts)
          .. " Try in a terminal: stemfix doctor")
      end
      starts, started_at = starts + 1, r.time_precise ()
      start ()
    end
  end

  --- An id that no other job has; ids sort by the time they were made.
  function M.new_id ()
    local count = (math.tointeger (tonumber (r.GetExtState ("stemfix", "count"))) or 0) + 1
    r.SetExtState ("stemfix", "count", tostring (count), false)
    local noise = r.genGuid (""):gsub ("%X", ""):sub (1, 12):lower ()
    return os.date ("!%Y%m%d-%H%M%S-") .. ("%06d-"):format (count) .. noise
  end

  return M
end
