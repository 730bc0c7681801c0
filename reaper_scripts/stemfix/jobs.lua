-- jobs: batches of jobs that are waited for. Each is a file in the data folder, so that it outlives the window, the
-- project and REAPER; a batch is one start of an action.
return function (lib)
  local M = {}
  local files, json, engine = lib.use ("files"), lib.use ("json"), lib.use ("engine")
  local source, projects, reading = lib.use ("source"), lib.use ("projects"), lib.use ("reading")
  local r = reaper
  --- Batches that "Import last result" can still find.
  local KEEP_DONE = 50

  local function folder (kind)
    return lib.settings ().data_dir .. "/reaper/" .. kind
  end

  local function path (kind, id)
    return folder (kind) .. "/" .. id .. ".json"
  end

  --- What was read last, by path: a batch is decoded again only where its file changed.
  local known = {}

  local function load (kind)
    local found = {}
    for _, name in ipairs (files.list (folder (kind))) do
      local file = folder (kind) .. "/" .. name
      local data = name:match ("%.json$") and files.read (file)
      if data and not (known[file] and known[file].data == data) then
        known[file] = { data = data, batch = json.decode (data) }
      end
      local batch = data and known[file].batch
      if batch and batch.jobs and batch.id then found[#found + 1] = batch end
    end
    return found
  end

  --- Names this run of REAPER: what an earlier one left is offered, not brought in unasked.
  function M.session ()
    local id = r.GetExtState ("stemfix", "session")
    if id == "" then
      id = engine.new_id ()
      r.SetExtState ("stemfix", "session", id, false)
    end
    return id
  end

  --- The batches that are waited for, oldest first.
  function M.pending ()
    return load ("pending")
  end

  function M.keep (batch)
    local file, data = path ("pending", batch.id), json.encode (batch)
    files.make_folder (folder ("pending"))
    files.write (file, data)
    known[file] = { data = data, batch = batch }
  end

  --- Whether nobody else took the batch out of the pending ones.
  function M.is_pending (batch)
    return files.exists (path ("pending", batch.id))
  end

  --- Wait no longer for a batch. It stays known to "Import last result".
  function M.close (batch)
    files.make_folder (folder ("done"))
    files.write_json (path ("done", batch.id), batch)
    os.remove (path ("pending", batch.id))
    local names = files.list (folder ("done"))
    for index = 1, #names - KEEP_DONE do os.remove (folder ("done") .. "/" .. names[index]) end
  end

  --- Batches that were waited for once, newest first.
  function M.closed ()
    local found, newest = load ("done"), {}
    for index = #found, 1, -1 do newest[#newest + 1] = found[index] end
    return newest
  end

  function M.cancel (batch)
    for _, job in ipairs (batch.jobs) do engine.cancel (job.id) end
    os.remove (path ("pending", batch.id))
    reading.forget (batch)
    lib.log ("Cancelled:", batch.id)
  end

  --- The plain data of an item's job. `piece_of (item, plays)` gives the `{ from, to }` of take time that is wanted,
  -- or nil for all that is heard. Fails for an item that can't serve.
  function M.describe (item, piece_of)
    local take, plays = source.accept (item)
    local piece = piece_of and piece_of (item, plays)
    local name = source.take_name (take)
    if not source.is_heard (plays, piece) then lib.fail (("'%s' plays nothing of its file there."):format (name)) end
    if piece and source.cuts_fade (item, plays, piece) then
      lib.fail (("The time selection begins or ends within a fade of '%s'. Move its edge out of it."):format (name))
    end
    local plan = not plays.exact and reading.plan (item, take, plays, piece) or nil
    local first, stop
    if plan then first, stop = 0, plan.frames else first, stop = source.range (plays, piece) end
    local left = {}
    if r.TakeFX_GetCount (take) > 0 and lib.settings ().track_settings ~= "effects" then left[1] = "effects" end
    if r.CountTakeEnvelopes (take) > 0 then left[#left + 1] = "envelopes" end
    return { item = source.item_guid (item), take = source.take_guid (take), name = name, file = plays.file,
      rate = plays.rate, channels = plays.channels, first = first, stop = stop, piece = piece,
      read = plan, stays = left[1] and table.concat (left, " and ") }
  end

  --- A new batch over items of the active project; `title` is what undo will call it. The engine gets the jobs later.
  function M.make (items, preset, title, piece_of)
    local project, project_path = projects.active ()
    local batch = { id = engine.new_id (), title = title, path = project_path, tab = projects.tab (project),
      session = M.session (), jobs = {}, out_dir = r.GetProjectPathEx (project, "") .. "/stemfix" }
    for _, item in ipairs (items) do
      lib.breathe ()
      if not r.ValidatePtr2 (project, item, "MediaItem*") then
        lib.fail ("The selected items were removed. Nothing was done.")
      end
      local what = M.describe (item, piece_of)
      local id = ("%s-%d"):format (batch.id, #batch.jobs + 1)
      local fields = { source = what.file, out_dir = batch.out_dir, start_frame = what.first, stop_frame = what.stop,
        preset = preset, write_mix = false }
      if what.read then
        what.read.path = reading.path (batch.out_dir, what.name, id)
        fields.source, fields.start_frame, fields.stop_frame = what.read.path, nil, nil
      end
      batch.jobs[#batch.jobs + 1] = { id = id, what = what, fields = fields }
    end
    -- Known before the engine knows them: a crash in between loses nothing.
    M.keep (batch)
    return batch
  end

  --- Hand the engine what it does not have yet.
  function M.submit (batch)
    for _, job in ipairs (batch.jobs) do
      lib.breathe ()
      engine.submit (job.id, job.fields)
    end
  end

  --- Where a batch stands: { done, progress, text, failed }. `failed` is a sentence.
  function M.look (batch)
    local progress, text, done, failed = 0, nil, true, nil
    for index, job in ipairs (batch.jobs) do
      lib.breathe ()
      local at = job.result and { done = true, state = "done", progress = 1, result = job.result }
        or engine.look (job.id)
      progress = progress + at.progress / #batch.jobs
      if not at.done then
        done = false
        text = text or (#batch.jobs > 1 and ("%d of %d: %s"):format (index, #batch.jobs, at.text) or at.text)
      elseif at.state ~= "done" then
        local why = at.result.message
        if at.state == "cancelled" then why = "Cancelled." end
        failed = failed or { cancelled = at.state == "cancelled", sentence = ("'%s' was not enhanced: %s"):format (
          job.what.name, why ~= nil and why ~= "" and why or "the engine gave up.") }
      else
        job.result = at.result
      end
    end
    return { done = done, progress = progress, text = text or "Bringing the stems in", failed = failed }
  end

  --- What the user should know about a batch that was brought in, or nil.
  function M.note (batch)
    local lines = {}
    for _, job in ipairs (batch.jobs) do
      if job.what.stays then
        lines[#lines + 1] = ("The take %s of '%s' stay on the muted original."):format (job.what.stays, job.what.name)
      end
    end
    if #lines == 0 then return nil end
    return table.concat (lines, "\n") .. "\nGlue the item first to have them in the stems."
  end

  --- Where a batch's stems lie, for a sentence.
  function M.where (batch)
    local result = batch.jobs[1].result
    return result and result.folder or batch.out_dir
  end

  return M
end
