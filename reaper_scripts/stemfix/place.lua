-- place: a batch of finished jobs becomes tracks below the originals: all of it in one undo step, or nothing.
return function (lib)
  local M = {}
  local projects, source, section = lib.use ("projects"), lib.use ("source"), lib.use ("section")
  local stem_files, reading = lib.use ("stems"), lib.use ("reading")
  local r = reaper
  local ITEM_VALUES = { "C_BEATATTACHMODE", "C_AUTOSTRETCH", "D_POSITION", "D_LENGTH", "D_SNAPOFFSET", "D_VOL",
    "B_LOOPSRC", "D_FADEINLEN", "D_FADEOUTLEN", "D_FADEINDIR", "D_FADEOUTDIR", "D_FADEINLEN_AUTO", "D_FADEOUTLEN_AUTO",
    "C_FADEINSHAPE", "C_FADEOUTSHAPE" }
  local TAKE_VALUES = { "D_VOL", "D_PAN", "D_PANLAW", "D_PLAYRATE", "D_PITCH", "B_PPITCH", "I_CHANMODE", "I_PITCHMODE",
    "I_STRETCHFLAGS", "F_STRETCHFADESIZE" }
  local TRACK_VALUES = { "D_VOL", "D_PAN", "D_WIDTH", "D_DUALPANL", "D_DUALPANR", "I_PANMODE", "D_PANLAW", "B_PHASE" }
  local COLOURS = { vocals = { 224, 96, 126 }, drums = { 224, 154, 60 }, bass = { 142, 111, 216 },
    other = { 70, 165, 160 }, guitar = { 124, 179, 66 }, piano = { 79, 143, 224 }, residual = { 138, 138, 138 },
    song = { 214, 196, 84 } }
  local HAS_COLOUR = 0x1000000

  --- How a take over a job's stem plays what `plays` does; nil where the stem does not hold that.
  local function fit_of (job, plays, piece)
    if job.what.read then return reading.fit (plays, job.what.read, piece) end
    return source.fit (plays, piece, job.what.first, job.what.stop)
  end

  --- Find a job's item and see that its stems hold what it plays by now. Fills `job`.
  local function locate (job, items)
    local item = items[job.what.item]
    local take = item and projects.take (item, job.what.take)
    if not take then lib.fail (("'%s' was deleted."):format (job.what.name)) end
    local plays = source.read (item, take)
    local read = job.what.read
    if not plays or plays.file ~= job.what.file or plays.exact == (read ~= nil)
      or read and not reading.is_same (item, take, read) then
      lib.fail (("'%s' plays something else by now."):format (job.what.name))
    end
    if not fit_of (job, plays, job.what.piece) then
      lib.fail (("'%s' was edited beyond what was separated. Run the action again."):format (job.what.name))
    end
    if job.what.piece and source.cuts_fade (item, plays, job.what.piece) then
      lib.fail (("'%s' has a fade by now where it would be split."):format (job.what.name))
    end
    job.item, job.take_now, job.track = item, take, r.GetMediaItem_Track (item)
  end

  local function track_name (track)
    return select (2, r.GetSetMediaTrackInfo_String (track, "P_NAME", "", false))
  end

  --- Jobs by the track that they are on: { { track, name, names, jobs }, ... }; `names` are the stems'.
  local function by_track (jobs)
    local list, known = {}, {}
    for _, job in ipairs (jobs) do
      local group = known[job.track]
      if not group then
        local name = track_name (job.track)
        group = { track = job.track, name = name ~= "" and name or job.what.name, names = {}, jobs = {} }
        known[job.track], list[#list + 1] = group, group
      end
      table.insert (group.jobs, job)
      for _, stem in ipairs (job.stems) do
        if not group.names[stem.name] then
          group.names[stem.name] = true
          table.insert (group.names, stem.name)
        end
      end
    end
    return list
  end

  local function set_track (track, name, value) r.SetMediaTrackInfo_Value (track, name, value) end

  --- A new track at a place among all of them, with a name.
  local function new_track (project, index, name)
    -- Without the user's default effects: the stems are to sound like the original.
    r.InsertTrackAtIndex (index, false)
    local track = r.GetTrack (project, index)
    r.GetSetMediaTrackInfo_String (track, "P_NAME", name, true)
    return track
  end

  --- The folder and its children below a group's track; the track's place in folders stays.
  local function make_tracks (project, group)
    local original, settings = group.track, lib.settings ().track_settings
    local index = math.floor (r.GetMediaTrackInfo_Value (original, "IP_TRACKNUMBER") + 0.5)
    local depth = math.floor (r.GetMediaTrackInfo_Value (original, "I_FOLDERDEPTH"))
    local folder = new_track (project, index, group.name .. " (stemfix)")
    set_track (folder, "I_FOLDERDEPTH", 1)
    set_track (folder, "I_CUSTOMCOLOR", r.GetMediaTrackInfo_Value (original, "I_CUSTOMCOLOR"))
    -- Below a folder the new tracks lie in it, and what it does is done to them already.
    if depth < 1 and settings ~= "nothing" then
      for _, name in ipairs (TRACK_VALUES) do set_track (folder, name, r.GetMediaTrackInfo_Value (original, name)) end
      if settings == "effects" then
        for effect = 0, r.TrackFX_GetCount (original) - 1 do
          r.TrackFX_CopyToTrack (original, effect, folder, effect, false)
        end
      end
    end
    group.tracks = {}
    for place, name in ipairs (group.names) do
      local track = new_track (project, index + place, name)
      local colour = COLOURS[name]
      if colour then set_track (track, "I_CUSTOMCOLOR", r.ColorToNative (table.unpack (colour)) | HAS_COLOUR) end
      group.tracks[name] = track
    end
    -- The last one ends the folder, and those that the original ended.
    set_track (group.tracks[group.names[#group.names]], "I_FOLDERDEPTH", -1 + math.min (depth, 0))
    if depth < 0 then set_track (original, "I_FOLDERDEPTH", 0) end
  end

  --- Where a job is about a part of its item, split the item so that the part is one of its own. Returns that item.
  local function cut_out (job)
    local item, piece = job.item, job.what.piece
    if not piece then return item, job.take_now end
    local plays = source.read (item, job.take_now)
    local first, last = source.part (plays, piece)
    local edge = 1e-9
    -- The end first: the left part stays the same item.
    if last < plays.length - edge then r.SplitMediaItem (item, plays.position + last) end
    if first > edge then item = r.SplitMediaItem (item, plays.position + first) or item end
    return item, r.GetActiveTake (item)
  end

  local function add_item (job, stem, item, take, track, taken)
    local plays = source.read (item, take)
    local fit = fit_of (job, plays, nil)
    if not fit then lib.fail (("'%s' can't be split there."):format (job.what.name)) end
    local new_item = r.AddMediaItemToTrack (track)
    local new_take = r.AddTakeToMediaItem (new_item)
    r.SetMediaItemTake_Source (new_take, stem.source)
    taken[stem.source] = true
    if fit.section then new_take = section.apply (new_item, fit.section) end
    for _, name in ipairs (TAKE_VALUES) do
      r.SetMediaItemTakeInfo_Value (new_take, name, r.GetMediaItemTakeInfo_Value (take, name))
    end
    r.SetMediaItemTakeInfo_Value (new_take, "D_STARTOFFS", fit.start)
    if lib.settings ().track_settings == "effects" then
      for effect = 0, r.TakeFX_GetCount (take) - 1 do r.TakeFX_CopyToTake (take, effect, new_take, effect, false) end
    end
    for _, name in ipairs (ITEM_VALUES) do
      r.SetMediaItemInfo_Value (new_item, name, r.GetMediaItemInfo_Value (item, name))
    end
    if fit.is_new then
      -- What was read has the rate, the pitch and the loop in its sound.
      r.SetMediaItemTakeInfo_Value (new_take, "D_PLAYRATE", 1)
      r.SetMediaItemTakeInfo_Value (new_take, "D_PITCH", 0)
      r.SetMediaItemInfo_Value (new_item, "B_LOOPSRC", 0)
    end
    r.GetSetMediaItemTakeInfo_String (new_take, "P_NAME", job.what.name .. " " .. stem.name, true)
    return new_take
  end

  local function change (project, groups, taken)
    local takes = {}
    for _, group in ipairs (groups) do
      make_tracks (project, group)
      for _, job in ipairs (group.jobs) do
        local item, take = cut_out (job)
        for _, stem in ipairs (job.stems) do
          takes[#takes + 1] = add_item (job, stem, item, take, group.tracks[stem.name], taken)
        end
        r.SetMediaItemInfo_Value (item, "B_MUTE", 1)
      end
    end
    return takes
  end

  --- Call what has to be called, once more where it fails.
  local function insist (f, ...)
    local _, why = lib.try (f, ...)
    if why then lib.try (f, ...) end
  end

  --- Run `f ()` in `project` as one undo step called `title`; where it fails, the project is as it was.
  local function in_one_step (project, title, f)
    local before = projects.active ()
    -- Only the active project takes new tracks.
    if before ~= project then r.SelectProjectInstance (project) end
    r.PreventUIRefresh (1)
    local done, why = lib.try (function ()
      r.Undo_BeginBlock2 (project)
      return true
    end)
    local begun = done
    if begun then done, why = lib.try (f) end
    -- A step that is to be taken back has a name that no step of the user has.
    local label = done and title or title .. " " .. r.genGuid ("")
    if begun then insist (r.Undo_EndBlock2, project, label, -1) end
    if begun and not done and lib.try (r.Undo_CanUndo2, project) == label then insist (r.Undo_DoUndo2, project) end
    insist (r.PreventUIRefresh, -1)
    if before ~= project and r.ValidatePtr2 (nil, before, "ReaProject*") then
      insist (r.SelectProjectInstance, before)
    end
    lib.try (r.TrackList_AdjustWindows, false)
    lib.try (r.UpdateArrange)
    return done, why
  end

  --- Bring the stems of a batch into a project, in one tick. Returns the new takes, or fails with the project as it
  -- was.
  function M.run (batch, project)
    local opened, taken = {}, {}
    local done, why = lib.try (function ()
      -- Whatever can fail comes before the first change.
      local items = projects.items (project)
      for _, job in ipairs (batch.jobs) do
        job.stems = stem_files.open (job, opened)
        locate (job, items)
      end
      local groups = by_track (batch.jobs)
      local takes, reason = in_one_step (project, batch.title, function () return change (project, groups, taken) end)
      if not takes then error ({ sentence = reason }, 0) end
      return takes
    end)
    for _, job in ipairs (batch.jobs) do job.stems, job.item, job.take_now, job.track = nil, nil, nil, nil end
    if done then return done end
    -- What undo took back is REAPER's to free.
    stem_files.free (opened, taken)
    lib.fail (why)
  end

  return M
end
