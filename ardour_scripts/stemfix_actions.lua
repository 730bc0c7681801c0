-- stemfix_actions: what each menu entry does, from the selection to the tracks.
return function (lib)
  local M = {}
  local files, compat, engine = lib.use ("files"), lib.use ("compat"), lib.use ("engine")
  local regions, jobs, bring = lib.use ("region"), lib.use ("jobs"), lib.use ("bring_in")
  local POLL_US = 30000
  local LEASE_EVERY_US = 3000000
  local NOT_UNDONE = "Undo takes the stems away and brings the region back; the new tracks stay, empty."

  local function finish (batch)
    lib.log ("All stems are there:", batch.id)
    -- The hook must not bring the same batch in while the main loop turns.
    bring.run (batch.jobs, function () jobs.lease (batch, true) end)
    jobs.remember (batch)
    jobs.forget (batch)
    jobs.tidy (batch)
    lib.log ("Brought in:", batch.id, NOT_UNDONE)
  end

  --- Follow a batch in Ardour's own progress window, then bring it in. Returns "done" or "cancelled".
  local function follow (batch, window)
    local watch, leased_at = engine.watch (), ARDOUR.LuaAPI.monotonic_time ()
    local at
    repeat
      watch ()
      at = jobs.look (batch)
      if window:progress (at.progress, at.text) then
        jobs.cancel (batch)
        return "cancelled"
      end
      if ARDOUR.LuaAPI.monotonic_time () - leased_at > LEASE_EVERY_US then
        jobs.lease (batch, true)
        leased_at = ARDOUR.LuaAPI.monotonic_time ()
      end
      if not at.done then ARDOUR.LuaAPI.usleep (POLL_US) end
    until at.done
    finish (batch)
    return "done"
  end

  local function enhance (preset, background)
    engine.require_programs ()
    if Session:actively_recording () then lib.fail ("Ardour is recording. Stop first.") end
    local selected = regions.selected ()
    local window = LuaDialog.ProgressWindow ("stemfix", true)
    local batch
    local outcome, why = lib.try (function ()
      window:progress (0, "Reading the region")
      batch = jobs.submit (selected, preset, function (fraction) return window:progress (fraction, "") end)
      if not batch then return "cancelled" end
      if background then
        engine.watch () ()
        jobs.lease (batch, false)
        return "background"
      end
      return follow (batch, window)
    end)
    window:done ()
    window = nil
    collectgarbage ()
    if not outcome then
      if batch then jobs.cancel (batch) end
      lib.fail (why)
    end
    lib.log ("Outcome:", outcome)
  end

  function M.enhance ()
    local settings = lib.settings ()
    enhance (lib.use ("request").preset () or settings.preset or "balanced", settings.background)
  end

  function M.separate ()
    enhance ("none", lib.settings ().background)
  end

  function M.enhance_with_preset ()
    local settings = lib.settings ()
    regions.selected ()
    local values, names = {}, settings.presets or {}
    if #names == 0 then names = { "fast", "balanced", "maximum" } end
    for _, name in ipairs (names) do values[name] = name end
    local chosen = LuaDialog.Dialog ("stemfix: Enhance selected region", {
      { type = "dropdown", key = "preset", title = "Preset", values = values, default = settings.preset or "balanced" },
      { type = "checkbox", key = "background", title = "Go on working meanwhile", default = settings.background == true },
    }):run ()
    if chosen then enhance (chosen.preset, chosen.background) end
  end

  function M.import_last ()
    local batch = jobs.last ()
    for _, waiting in ipairs (jobs.pending ()) do
      if jobs.look (waiting).done then batch = waiting end
    end
    if not batch then lib.fail ("stemfix has no result for this session yet.") end
    local _, why = lib.try (finish, batch)
    if why then
      jobs.forget (batch)
      lib.fail (why)
    end
  end

  --- Have the page made, with a window that says so. False where the user did not want to wait.
  local function make_page (folder)
    local window = LuaDialog.ProgressWindow ("stemfix", true)
    local made, why = lib.try (function ()
      return engine.run ("report", { "report", folder }, function ()
        return window:progress (-1, "Making the comparison page")
      end) and "made" or "left"
    end)
    window:done ()
    window = nil
    collectgarbage ()
    if why then lib.fail ("The comparison page could not be made. " .. why) end
    return made == "made"
  end

  function M.open_comparison ()
    local batch = jobs.last ()
    local result = batch and batch.jobs[#batch.jobs].result
    if not result or not result.folder then lib.fail ("stemfix has no result for this session yet.") end
    local page = result.folder .. "/comparison.html"
    if not files.exists (page) and not make_page (result.folder) then return end
    lib.log ("Opening", page)
    compat.open (page)
  end

  --- What the hook calls ten times a second: bring in what finished without a window.
  function M.make_tick ()
    local count, watches, busy = 0, {}, false
    return function ()
      count = count + 1
      if busy or count % 5 ~= 0 then return end
      if not files.exists (jobs.folder () .. "/pending.json") then return end
      busy = true
      for _, batch in ipairs (jobs.pending ()) do
        if not jobs.is_leased (batch) and not Session:actively_recording () then
          watches[batch.id] = watches[batch.id] or engine.watch ()
          local _, why = lib.try (function ()
            if jobs.look (batch).done then
              finish (batch)
            else
              watches[batch.id] ()
            end
            return true
          end)
          if why then
            jobs.cancel (batch)
            lib.try (lib.tell, "Warning", why)
          end
        end
      end
      busy = false
    end
  end

  return M
end
