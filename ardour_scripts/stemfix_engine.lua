-- stemfix_engine: hand a job to the engine through the spool, follow it, stop it, and start the engine.
return function (lib)
  local M = {}
  local files, json, compat = lib.use ("files"), lib.use ("json"), lib.use ("compat")
  --- A heartbeat that is older comes from an engine that is gone.
  local FRESH_S = 5
  local START_S = 30
  --- One that ended at once may have found another that is starting.
  local OTHER_S = 5
  local RESTARTS = 2
  local POLL_US = 30000
  local stages = { read = "Reading", separate = "Separating", enhance = "Enhancing", align = "Checking alignment",
    publish = "Writing" }

  local function now ()
    return ARDOUR.LuaAPI.monotonic_time () / 1e6
  end

  local function data (name)
    return lib.settings ().data_dir .. "/" .. name
  end

  local function folder (id)
    return data ("spool/" .. id)
  end

  --- The engine's heartbeat, or nil where no engine works.
  function M.alive ()
    local beat = files.read_json (data ("engine.json"))
    if not beat or not beat.time or math.abs (os.time () - beat.time) > FRESH_S then return nil end
    -- A killed engine leaves its last heartbeat; on Linux its process tells at once.
    if beat.pid and files.exists ("/proc/self/stat") and not files.exists (("/proc/%d/stat"):format (beat.pid)) then
      return nil
    end
    return beat
  end

  --- Fails where Ardour's preferences keep scripts from what every job needs.
  function M.require_programs ()
    if not compat.can_run_programs () then
      lib.fail ("Ardour does not allow scripts to start programs. Allow it in Preferences > Scripting > "
        .. "'Sandbox all Lua scripts', then start Ardour again.")
    end
  end

  --- Start `stemfix <words>` beside Ardour; what it says and how it ends goes to `ardour-<name>.log` and `.exit`.
  local function launch (name, words)
    local settings = lib.settings ()
    local environment = {}
    for key, value in pairs (settings.environment or {}) do environment[key] = value end
    environment.STEMFIX_DATA_DIR = environment.STEMFIX_DATA_DIR or settings.data_dir
    compat.start (settings.python, { "-m", "stemfix", table.unpack (words) }, environment,
      data ("ardour-" .. name .. ".log"), data ("ardour-" .. name .. ".exit"))
  end

  local function start ()
    lib.log ("Starting the engine")
    launch ("engine", { "engine" })
  end

  --- What a program said last, as the end of a sentence.
  local function last_line (name)
    local text = files.read (data ("ardour-" .. name .. ".log")) or ""
    local line = text:match ("([^\n]+)%s*$")
    return line and (" It said: " .. line:sub (-300)) or ""
  end

  --- Run `stemfix <words>` to its end; `each ()` may return true to wait no longer. Fails where it fails.
  function M.run (name, words, each)
    M.require_programs ()
    launch (name, words)
    local status
    repeat
      status = tonumber ((files.read (data ("ardour-" .. name .. ".exit")) or ""):match ("%d+"))
      if not status then
        if each () then return false end
        ARDOUR.LuaAPI.usleep (POLL_US)
      end
    until status
    if status ~= 0 then lib.fail ("'stemfix " .. words[1] .. "' failed." .. last_line (name)) end
    return true
  end

  --- The folder of a job in the spool.
  M.folder = folder

  --- Put a job into its folder: `fields` as docs/spool.md has them.
  function M.submit (id, fields)
    fields.spool_version = "1.0"
    fields.client, fields.priority = "ardour", "daw"
    files.write_json (folder (id) .. "/job.json", fields)
  end

  function M.cancel (id)
    if files.exists (folder (id) .. "/job.json") then lib.try (files.write, folder (id) .. "/cancel", "") end
  end

  --- { done, state, text, progress, result } of a job: what the engine says of it.
  function M.look (id)
    local result = files.read_json (folder (id) .. "/result.json")
    if result and result.state then
      return { done = true, state = result.state, progress = 1, text = "Done", result = result }
    end
    local status = files.read_json (folder (id) .. "/status.json")
    if not status then return { state = "new", progress = 0, text = "Waiting for the engine" } end
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
    local started_at, starts, seen = nil, 0, false
    return function ()
      if M.alive () then
        seen, started_at = true, nil
        return
      end
      if started_at then
        local patience = files.exists (data ("ardour-engine.exit")) and OTHER_S or START_S
        if now () - started_at < patience then return end
        lib.fail ("The stemfix engine does not start. Nothing was changed." .. last_line ("engine") .. " Try in a terminal: stemfix doctor")
      end
      if starts > RESTARTS then
        lib.fail (("The stemfix engine stopped %d times while it worked on this. Nothing was changed."):format (starts)
          .. last_line ("engine") .. " Try in a terminal: stemfix doctor")
      end
      if seen then lib.log ("The engine is gone") end
      start ()
      starts, started_at = starts + 1, now ()
    end
  end

  --- An id that no other job has; ids sort by the time they were made.
  function M.new_id ()
    -- Ardour seeds no random numbers: the clock's microseconds and an address make ids differ.
    local noise = (tostring ({}):match ("0x(%x+)") or "0"):sub (-6)
    return os.date ("!%Y%m%d-%H%M%S") .. ("-%06d%s"):format (ARDOUR.LuaAPI.monotonic_time () % 1000000, noise)
  end

  return M
end
