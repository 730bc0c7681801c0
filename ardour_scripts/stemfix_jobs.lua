-- stemfix_jobs: batches of jobs that a session waits for, kept in the session's folder so that they outlive
-- the window, the session and Ardour itself.
return function (lib)
  local M = {}
  local files, engine = lib.use ("files"), lib.use ("engine")
  local regions, fades = lib.use ("region"), lib.use ("fades")
  --- How long a window keeps a batch from the hook without saying so again.
  local LEASE_S = 30

  --- `<session>/stemfix`: everything that stemfix keeps with a session.
  function M.folder ()
    return (Session:path ():gsub ("/+$", "")) .. "/stemfix"
  end

  local function pending_path ()
    return M.folder () .. "/pending.json"
  end

  --- A session may come from somebody else: what stands in its files is believed only where it can do no harm.
  local function is_sound (batch)
    if type (batch) ~= "table" or type (batch.id) ~= "string" or type (batch.jobs) ~= "table" then return false end
    for _, job in ipairs (batch.jobs) do
      local id = type (job) == "table" and job.id
      if type (id) ~= "string" or #id > 64 or not id:find ("^%w[%w_-]*$") or type (job.what) ~= "table" then
        return false
      end
    end
    return #batch.jobs > 0
  end

  --- The batches that are waited for.
  function M.pending ()
    local found, sound = files.read_json (pending_path ()), {}
    for _, batch in ipairs (type (found) == "table" and found.batches or {}) do
      if is_sound (batch) then sound[#sound + 1] = batch end
    end
    return sound
  end

  local function keep (batches)
    if #batches == 0 then
      os.remove (pending_path ())
    else
      files.write_json (pending_path (), { batches = batches })
    end
  end

  local function replace (batch, new)
    local kept = {}
    for _, other in ipairs (M.pending ()) do
      if other.id ~= batch.id then kept[#kept + 1] = other end
    end
    kept[#kept + 1] = new
    keep (kept)
  end

  --- Keep the hook away from a batch for a while, or hand it over.
  function M.lease (batch, wanted)
    batch.lease = wanted and os.time () + LEASE_S or 0
    replace (batch, batch)
  end

  function M.is_leased (batch)
    local left = (batch.lease or 0) - os.time ()
    return left > 0 and left <= LEASE_S
  end

  function M.forget (batch)
    replace (batch, nil)
  end

  --- Remember a batch that was brought in or failed, for "Import last result".
  function M.remember (batch)
    files.write_json (M.folder () .. "/last.json", batch)
  end

  --- Remove what only the engine needed of a batch that is finished.
  function M.tidy (batch)
    for _, job in ipairs (batch.jobs) do
      local name = tostring (job.source):match ("([^/]+)$") or ""
      if name:find (job.id, 1, true) then os.remove (M.folder () .. "/" .. name) end
    end
  end

  function M.last ()
    local batch = files.read_json (M.folder () .. "/last.json")
    return is_sound (batch) and batch or nil
  end

  --- Hand one job per region to the engine. `each (fraction)` may return true to stop; nil then.
  function M.submit (selected, preset, each)
    local batch = { id = engine.new_id (), preset = preset, lease = os.time () + LEASE_S, jobs = {} }
    local described, ids, folders = {}, {}, { M.folder () }
    for index, region in ipairs (selected) do
      described[index] = regions.describe (region)
      ids[index] = engine.new_id () .. "-" .. index
      folders[#folders + 1] = engine.folder (ids[index])
    end
    files.make_folders (folders)
    fades.add (described)
    local sources = {}
    for index, region in ipairs (selected) do
      local what, id = described[index], ids[index]
      local path = ("%s/%s-%s"):format (M.folder (), files.file_name (what.name, 60), id)
      local source, first, stop = regions.write_source (region, what, path, each)
      if not source then
        for _, written in ipairs (sources) do os.remove (written) end
        return nil
      end
      sources[#sources + 1] = source
      batch.jobs[index] = { id = id, what = what, source = source, fields = {
        source = source, out_dir = M.folder (), start_frame = first, stop_frame = stop, preset = preset,
        write_mix = false } }
    end
    -- Known before the engine knows them: a crash in between loses nothing.
    replace (batch, batch)
    for _, job in ipairs (batch.jobs) do
      engine.submit (job.id, job.fields)
      job.fields = nil
    end
    return batch
  end

  --- Stop a batch's jobs and forget it.
  function M.cancel (batch)
    for _, job in ipairs (batch.jobs) do engine.cancel (job.id) end
    M.forget (batch)
    M.tidy (batch)
  end

  --- Where a batch stands: { done, progress, text }. Fails where a job ended without its stems.
  function M.look (batch)
    local progress, text, done = 0, nil, true
    for index, job in ipairs (batch.jobs) do
      local at = engine.look (job.id)
      progress = progress + at.progress / #batch.jobs
      if not at.done then
        done = false
        if not text then
          text = #batch.jobs > 1 and ("%d of %d: %s"):format (index, #batch.jobs, at.text) or at.text
        end
      elseif at.state ~= "done" then
        local why = at.result.message
        if at.state == "cancelled" then why = "Cancelled." end
        lib.fail (("Region '%s' was not enhanced: %s"):format (job.what.name,
          why ~= nil and why ~= "" and why or "the engine gave up."))
      else
        job.result = at.result
      end
    end
    return { done = done, progress = progress, text = text or "Bringing the stems in" }
  end

  return M
end
