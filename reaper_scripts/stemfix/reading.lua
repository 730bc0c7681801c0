-- reading: what can't be named as frames of a file is read as REAPER plays it, into a WAV file for the engine: lossy
-- files, video, subprojects, sections of sections, stretch markers.
--
-- REAPER's audio accessor gives a take's sound in the item's own time, with its play rate, pitch and stretch markers,
-- before effects, without volume, pan and fades. A little is read on each tick, so that REAPER never waits.
return function (lib)
  local M = {}
  local files, source, projects = lib.use ("files"), lib.use ("source"), lib.use ("projects")
  local r = reaper
  --- Reading ends a tick after this; a block may come on top.
  local TICK_S = 0.0025
  local BLOCK = 1024
  --- Audio around a part of an item, so that the stems can be trimmed and slipped later.
  local HANDLE_S = 1
  --- Of a frame: what rounding of seconds may do.
  local EPS = 1e-4
  --- Numbers that Lua unpacks at once.
  local PACK = 240
  local HEADER_BYTES, LARGEST_BYTES = 44, 0xFFFFFFFF
  --- Channel modes that give the same when they are applied twice: whether an accessor applies them is not documented.
  local CHANNEL_MODES = { [0] = true, [2] = true, [3] = true, [4] = true }
  local TAKE_VALUES = { "D_PLAYRATE", "D_PITCH", "B_PPITCH", "I_PITCHMODE", "I_STRETCHFLAGS", "F_STRETCHFADESIZE",
    "I_CHANMODE" }

  --- What an accessor's sound depends on, but for where the item begins and ends, as text.
  local function signature (item, take)
    local parts = { r.GetMediaItemInfo_Value (item, "B_LOOPSRC") }
    for _, name in ipairs (TAKE_VALUES) do parts[#parts + 1] = r.GetMediaItemTakeInfo_Value (take, name) end
    local one = r.GetMediaItemTake_Source (take)
    while one do
      local above = r.GetMediaSourceParent (one)
      if above then
        local _, offset, length, reversed = r.PCM_Source_GetSectionInfo (one)
        for _, value in ipairs ({ offset, length, reversed and 1 or 0 }) do parts[#parts + 1] = value end
      end
      one = above
    end
    for index = 0, r.GetTakeNumStretchMarkers (take) - 1 do
      local _, position, source_position = r.GetTakeStretchMarker (take, index)
      parts[#parts + 1], parts[#parts + 2] = position, source_position or 0
    end
    for index, value in ipairs (parts) do parts[index] = ("%.12g"):format (value) end
    return table.concat (parts, " ")
  end

  --- What is to be read of an item, as plain data: frame k of the file is item time `origin` + k / rate. Fails where it
  -- can't be exact. `piece` is a part in take time, or nil.
  function M.plan (item, take, plays, piece)
    local function refuse (why) lib.fail (("'%s' %s"):format (source.take_name (take), why)) end
    if not CHANNEL_MODES[r.GetMediaItemTakeInfo_Value (take, "I_CHANMODE")] then
      refuse ("has a channel mode that stems of such an item can't follow. Set it to normal or glue the item.")
    end
    if piece and plays.markers > 0 then
      refuse ("has stretch markers, and can't be split at the time selection exactly. Select all of the item.")
    end
    local first, last = source.part (plays, piece)
    first, last = math.max (0, first - HANDLE_S), math.min (plays.length, last + HANDLE_S)
    local origin, lead = first, false
    if plays.playrate == 1 and plays.markers == 0 and r.GetMediaItemTakeInfo_Value (take, "D_PITCH") == 0 then
      -- The file's own frames, not ones between them. The frame before the first has the sound of the very beginning.
      local at = (plays.start + first) * plays.rate
      local shift = math.max (0, math.ceil (at - EPS) - at)
      lead = shift > EPS
      origin = first + (shift - (lead and 1 or 0)) / plays.rate
    end
    local frames = math.ceil ((last - origin) * plays.rate - EPS)
    if frames * plays.channels * 4 + HEADER_BYTES > LARGEST_BYTES then
      refuse ("is too long to be read in one piece. Split it first.")
    end
    return { first = first, last = last, origin = origin, lead = lead, frames = frames, start = plays.start,
      playrate = plays.playrate, markers = plays.markers, signature = signature (item, take) }
  end

  --- The file that is read into: named like the take, unlike any other.
  function M.path (folder, name, id)
    local plain = name:gsub ("%.%w+$", ""):gsub ('[%c/\\:*?"<>|]', "_"):gsub ("^[. ]+", "")
    if #plain > 60 then plain = plain:sub (1, 60):gsub ("[\128-\255]+$", "") end
    local time, noise, number = id:match ("^%d+%-(%d+)%-%d+%-(%w%w%w%w)%w*%-(%d+)$")
    return ("%s/%s-%s-%s-%s.wav"):format (folder, plain ~= "" and plain or "item", time, noise, number)
  end

  --- Whether an item still sounds as it was planned, wherever it begins and ends.
  function M.is_same (item, take, plan)
    return signature (item, take) == plan.signature
  end

  --- How a take over a stem of what was read plays what `plays` does now: { start }. nil where it does not hold that.
  function M.fit (plays, plan, piece)
    local first, last = source.part (plays, piece)
    local edge = (plays.start - plan.start) / plays.playrate
    local slack = EPS / plays.rate
    if plan.markers > 0 and math.abs (edge) > slack then return nil end
    if edge + first < plan.first - slack or edge + last > plan.last + slack then return nil end
    return { start = edge - plan.origin, is_new = true }
  end

  local function header (channels, rate, frames)
    local bytes = frames * channels * 4
    return string.pack ("<c4I4c4c4I4I2I2I4I4I2I2c4I4", "RIFF", bytes + HEADER_BYTES - 8, "WAVE", "fmt ", 16, 3,
      channels, rate, rate * channels * 4, channels * 4, 32, "data", bytes)
  end

  --- What is being read; one at a time.
  local now

  --- Remove what an earlier reading into `path` left where REAPER crashed.
  local function sweep (path)
    local folder, name = path:match ("^(.*)/(.*)$")
    for _, found in ipairs (files.list (folder)) do
      if found:sub (1, #name + 1) == name .. "." and found:match ("%.part$") then os.remove (folder .. "/" .. found) end
    end
  end

  local function cant_write (path, why)
    lib.fail (path .. " can't be written: " .. tostring (why):gsub ("^.*: ", "") .. ".")
  end

  --- What `f` returns; once more where it fails.
  local function insist (f, ...)
    local ok, result = pcall (f, ...)
    if not ok then ok, result = pcall (f, ...) end
    return ok and result
  end

  --- Read no further; nothing is left behind.
  function M.drop ()
    if not now then return end
    local was = now
    now = nil
    if was.file then was.file:close () end
    os.remove (was.partial)
    if was.made_folder then os.remove (was.folder) end
    -- While REAPER quits it has no project any more, and frees its accessors itself.
    if was.accessor and insist (r.EnumProjects, 0) then insist (r.DestroyAudioAccessor, was.accessor) end
  end

  --- Drop what is read for a batch that `is_wanted (batch)` no longer.
  function M.drop_unless (is_wanted)
    if now and not is_wanted (now.batch) then M.drop () end
  end

  --- Remove the files of a batch, whose sound nobody needs.
  function M.forget (batch)
    if now and now.batch.id == batch.id then M.drop () end
    for _, job in ipairs (batch.jobs) do
      if job.what.read then
        os.remove (job.what.read.path)
        lib.try (sweep, job.what.read.path)
      end
    end
  end

  local function begin (batch, job, project)
    local what, item = job.what, nil
    if project then item = projects.items (project)[what.item] end
    local take = item and projects.take (item, what.take)
    if not take then
      lib.fail (("'%s' was closed or deleted before stemfix had read it."):format (what.name))
    end
    now = { batch = batch, job = job, project = project, item = item, take = take, done = 0,
      folder = batch.out_dir, made_folder = not files.exists (batch.out_dir),
      partial = what.read.path .. "." .. r.genGuid (""):gsub ("%X", ""):sub (1, 8) .. ".part" }
    files.make_folder (now.folder)
    sweep (what.read.path)
    now.accessor = r.CreateTakeAudioAccessor (take)
    if not now.accessor then lib.fail (("REAPER can't read the sound of '%s'."):format (what.name)) end
    now.offset = r.GetAudioAccessorStartTime (now.accessor)
    now.buffer = r.new_array (BLOCK * what.channels)
    local why
    now.file, why = io.open (now.partial, "wb")
    if not now.file then cant_write (now.partial, why) end
    now.file:write (header (what.channels, what.rate, what.read.frames))
  end

  --- Whether the item is there and sounds as before; after an undo it may be there under other pointers.
  local function is_there ()
    return r.ValidatePtr2 (nil, now.project, "ReaProject*") and r.ValidatePtr2 (now.project, now.item, "MediaItem*")
      and r.ValidatePtr2 (now.project, now.take, "MediaItem_Take*")
  end

  local function check ()
    local what = now.job.what
    local plays = source.read (now.item, now.take)
    local fits = plays and plays.file == what.file and M.is_same (now.item, now.take, what.read)
      and M.fit (plays, what.read, what.piece)
    -- The accessor's time begins where the item does.
    if not fits or plays.start ~= what.read.start or plays.length + EPS / what.rate < what.read.last then
      lib.fail (("'%s' was edited while stemfix read it. Run the action again."):format (what.name))
    end
  end

  local function read_block ()
    local what, plan = now.job.what, now.job.what.read
    local at, count = plan.origin + now.done / what.rate, math.min (BLOCK, plan.frames - now.done)
    if plan.lead and now.done == 0 then at, count = plan.first, 1 end
    -- Beyond the end of the sound REAPER leaves what was in the buffer.
    now.buffer.clear ()
    local got = r.GetAudioAccessorSamples (now.accessor, what.rate, what.channels, now.offset + at, count, now.buffer)
    if got < 0 then lib.fail (("REAPER can't read the sound of '%s'."):format (what.name)) end
    local values, parts = now.buffer.table (1, count * what.channels), {}
    for from = 1, #values, PACK do
      local to = math.min (from + PACK - 1, #values)
      parts[#parts + 1] = string.pack ("<" .. ("f"):rep (to - from + 1), table.unpack (values, from, to))
    end
    local ok, why = now.file:write (table.concat (parts))
    if not ok then cant_write (now.partial, why) end
    now.done = now.done + count
  end

  local function finish ()
    local path, partial, file = now.job.what.read.path, now.partial, now.file
    check ()
    now.file = nil
    local ok, why = file:close ()
    if ok then ok, why = os.rename (partial, path) end
    if not ok then cant_write (path, why) end
    now.made_folder = false
    M.drop ()
  end

  --- Read on for the rest of a tick. Call it on every tick; it never fails: `look` tells. `is_wanted (batch)` is asked
  -- before the file appears.
  function M.go_on (is_wanted)
    if not now or now.why then return end
    local _, why = lib.try (function ()
      if not is_there () then return M.drop () end
      if r.AudioAccessorStateChanged (now.accessor) then
        check ()
        r.AudioAccessorValidateState (now.accessor)
      end
      repeat read_block ()
      until now.done == now.job.what.read.frames or r.time_precise () - lib.tick_began > TICK_S
      if now.done < now.job.what.read.frames then return end
      if is_wanted (now.batch) then finish () else M.drop () end
    end)
    if why and now then now.why = why end
  end

  --- How far the reading of a batch is: { progress, text }, or nil where all that is needed is there. `find ()` gives
  -- its project. Fails where it can't be read.
  function M.look (batch, find)
    for index, job in ipairs (batch.jobs) do
      if job.what.read and not files.exists (job.what.read.path) then
        if now and now.job.id == job.id and now.why then
          local why = now.why
          M.drop ()
          lib.fail (why .. " Nothing was changed.")
        end
        if not now then
          local _, why = lib.try (begin, batch, job, find ())
          if why then
            M.drop ()
            lib.fail (why .. " Nothing was changed.")
          end
        end
        local done = now.job.id == job.id and now.done / job.what.read.frames or 0
        return { progress = done, text = (#batch.jobs > 1 and ("%d of %d: "):format (index, #batch.jobs) or "")
          .. ("Reading '%s'"):format (job.what.name) }
      end
    end
  end

  return M
end
