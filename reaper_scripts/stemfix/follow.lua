-- follow: wait for batches without holding REAPER up, and bring in what is done. One follower at a time: the newest.
return function (lib)
  local M = {}
  local files, engine, jobs, projects = lib.use ("files"), lib.use ("engine"), lib.use ("jobs"), lib.use ("projects")
  local place, stem_files, window = lib.use ("place"), lib.use ("stems"), lib.use ("window")
  local reading = lib.use ("reading")
  local r = reaper
  local POLL_S = 0.25

  --- Bring a finished batch in. Fails where it can't be; then its stems stay where they are.
  function M.bring_in (batch)
    local project = projects.of (batch)
    local where = "\n\nThe stems are in " .. jobs.where (batch)
    if not project then
      lib.fail ("The project was closed. Open it and run 'stemfix: Import last result'." .. where)
    end
    lib.log ("Bringing in:", batch.id)
    local began = r.time_precise ()
    local takes, why = lib.try (place.run, batch, project)
    if not takes then lib.fail (why .. " Nothing was changed." .. where) end
    lib.log (("Brought in: %d items in %.1f ms"):format (#takes, (r.time_precise () - began) * 1000))
    return project, takes
  end

  --- Bring in, and wait for it no longer. A message tells where it can't be. `brought (project, takes)` where it could.
  local function finish (batch, brought)
    -- First: whatever happens then, it is not brought in twice.
    jobs.close (batch)
    local project, takes
    local _, why = lib.try (function () project, takes = M.bring_in (batch) end)
    if why then return lib.tell (why) end
    brought (project, takes, jobs.note (batch))
  end

  --- A finished batch of a project that is closed: kept until it is opened again, and told once.
  local function leave (batch)
    if batch.path == "" then
      jobs.close (batch)
    elseif batch.told then
      return
    else
      batch.told = true
      jobs.keep (batch)
    end
    lib.tell ("The project was closed while stemfix was working."
      .. (batch.path ~= "" and " The stems are offered when it is opened again." or "")
      .. "\n\nThe stems are in " .. jobs.where (batch))
  end

  --- Look at one batch. Returns its progress and a text where it is still to be waited for.
  local function attend (batch, watch, brought)
    local read = reading.look (batch, function () return projects.of (batch) end)
    if read then return read.progress, read.text end
    jobs.submit (batch)
    local at = jobs.look (batch)
    if not jobs.is_pending (batch) then return end
    if at.failed then
      if not at.failed.cancelled then
        for _, job in ipairs (batch.jobs) do engine.cancel (job.id) end
      end
      jobs.close (batch)
      reading.forget (batch)
      if not at.failed.cancelled then lib.tell (at.failed.sentence .. " Nothing was changed.") end
      return
    end
    if not at.done then
      watch ()
      return at.progress, at.text
    end
    local project = projects.of (batch)
    if not project then return leave (batch) end
    if projects.is_recording (project) then return 1, "Waiting for the recording to end" end
    lib.next_tick ()
    if jobs.is_pending (batch) then finish (batch, brought) end
  end

  --- Ask once whether what an earlier run of REAPER left for an open project is to be brought in.
  -- Only where its project is in the active tab. Returns the batches to be followed.
  local function wanted ()
    local found, session = {}, jobs.session ()
    local _, path = projects.active ()
    for _, batch in ipairs (jobs.pending ()) do
      lib.breathe ()
      local here = batch.path ~= "" and files.normal (batch.path) == files.normal (path)
      if (batch.session ~= session or batch.told) and here then
        local done = jobs.look (batch).done
        local question = "stemfix has %s stems of '%s' for this project, from before it was closed. Bring them in%s?"
        if lib.ask (question:format (done and "finished" or "unfinished", batch.jobs[1].what.name,
          done and "" or " when they are done")) then
          batch.session, batch.told = session, nil
          jobs.keep (batch)
        elseif done then
          jobs.close (batch)
        else
          jobs.cancel (batch)
        end
      end
      if jobs.is_pending (batch) and batch.session == session and not batch.told then found[#found + 1] = batch end
    end
    return found
  end

  --- Offer what earlier runs left. True where there is something to follow.
  function M.offer ()
    return #wanted () > 0
  end

  --- Whether another action follows the batches by now.
  local function replaced (me)
    return r.GetExtState ("stemfix", "follower") ~= me
  end

  --- Follow all batches until none is left.
  function M.run ()
    local me = engine.new_id ()
    r.SetExtState ("stemfix", "follower", me, false)
    local function finished ()
      window.close ()
      reading.drop ()
      if replaced (me) then return end
      r.DeleteExtState ("stemfix", "follower", false)
      r.DeleteExtState ("stemfix", "progress", false)
    end
    -- Also where REAPER ends the script.
    r.atexit (finished)
    local watch = engine.watch ()
    local progress, text, polled = 0, "Waiting for the engine", nil
    local new = {}
    local function brought (project, takes, note)
      new[#new + 1] = { project = project, takes = takes }
      if note then lib.tell (note) end
    end
    window.open ()
    repeat
      if not polled or r.time_precise () - polled >= POLL_S then
        polled = r.time_precise ()
        local batches, waiting, sum = wanted (), 0, 0
        local first_text
        for _, batch in ipairs (batches) do
          if replaced (me) then break end
          local fraction, what
          local _, why = lib.try (function () fraction, what = attend (batch, watch, brought) end)
          if why then
            jobs.cancel (batch)
            lib.tell (why)
          elseif fraction then
            waiting, sum, first_text = waiting + 1, sum + fraction, first_text or what
          end
        end
        reading.drop_unless (jobs.is_pending)
        if waiting == 0 and #wanted () == 0 then break end
        progress, text = waiting > 0 and sum / waiting or 1, first_text or text
        r.SetExtState ("stemfix", "progress", ("%.3f"):format (progress), false)
      end
      reading.go_on (jobs.is_pending)
      lib.next_tick ()
      if window.cancelled (progress, text) then
        for _, batch in ipairs (jobs.pending ()) do
          if batch.session == jobs.session () then jobs.cancel (batch) end
        end
      end
    until replaced (me)
    window.close ()
    reading.drop ()
    for _, one in ipairs (new) do stem_files.build_peaks (one.project, one.takes) end
    finished ()
  end

  return M
end
