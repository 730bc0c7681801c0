-- source: what of which file an item plays. Positions in the file are frames; a take's own time is in seconds.
--
-- A take plays its source from D_STARTOFFS on, D_PLAYRATE seconds of it per second. The source is a file, or a
-- section of one: `length` seconds from `offset` on, played backwards where it is reversed. "Take time" counts from
-- the beginning of that source; for a reversed section it runs against the file.
return function (lib)
  local M = {}
  local files = lib.use ("files")
  local r = reaper
  --- Audio around what is heard, so that the stems can be trimmed and slipped later.
  local HANDLE_S = 1
  --- Frames around what is heard that a resampler may look at.
  local GUARD = 64
  --- Of a frame: what rounding of seconds may do.
  local EPS = 1e-4
  local LARGEST_CHANNELS = 2
  --- Files that every program reads alike. Lossy ones begin elsewhere for every decoder.
  local EXACT = { wav = true, wave = true, w64 = true, rf64 = true, bwf = true, aif = true, aiff = true, aifc = true,
    caf = true, flac = true }

  local function item_value (item, name) return r.GetMediaItemInfo_Value (item, name) end

  function M.item_guid (item)
    return select (2, r.GetSetMediaItemInfo_String (item, "GUID", "", false))
  end

  function M.take_guid (take)
    return select (2, r.GetSetMediaItemTakeInfo_String (take, "GUID", "", false))
  end

  function M.take_name (take)
    return select (2, r.GetSetMediaItemTakeInfo_String (take, "P_NAME", "", false))
  end

  local function sentence (name, why)
    lib.fail (("'%s' %s"):format (name, why))
  end

  -- REAPER before 7 wants the last, empty argument of three functions.
  --- A take's source: { file, kind, rate, channels, frames, section = { offset, length, reversed } or nil, exact }.
  -- `exact` is false where what is heard can't be named as frames of the file; a section of a section is then a source
  -- of its own.
  local function source_of (take)
    local source = r.GetMediaItemTake_Source (take)
    if not source then return nil end
    local root, section, nested = source, nil, false
    local parent = r.GetMediaSourceParent (source)
    if parent then
      local _, offset, length, reversed = r.PCM_Source_GetSectionInfo (source)
      section = { offset = offset, length = length, reversed = reversed }
      root = parent
    end
    local above = parent and r.GetMediaSourceParent (parent)
    while above do
      root, above, nested = above, r.GetMediaSourceParent (above), true
    end
    local file, rate = r.GetMediaSourceFileName (root, ""), r.GetMediaSourceSampleRate (root)
    local seconds = r.GetMediaSourceLength (nested and source or root)
    return { file = file, kind = r.GetMediaSourceType (root, ""), rate = rate,
      channels = r.GetMediaSourceNumChannels (root), frames = math.floor (seconds * rate + 0.5),
      section = not nested and section or nil, markers = r.GetTakeNumStretchMarkers (take),
      exact = not nested and EXACT[(file:match ("%.(%w+)$") or ""):lower ()] ~= nil }
  end

  --- What an item's take plays now, as plain data.
  function M.read (item, take)
    local found = source_of (take)
    if not found then return nil end
    found.position, found.length = item_value (item, "D_POSITION"), item_value (item, "D_LENGTH")
    found.start = r.GetMediaItemTakeInfo_Value (take, "D_STARTOFFS")
    found.playrate = r.GetMediaItemTakeInfo_Value (take, "D_PLAYRATE")
    found.loops = item_value (item, "B_LOOPSRC") == 1
    found.source_length = found.section and found.section.length or found.frames / found.rate
    found.exact = found.exact and found.markers == 0
    return found
  end

  --- Fail with one sentence where an item can't be done exactly. Returns its take and what it plays.
  function M.accept (item)
    local take = r.GetActiveTake (item)
    if not take then lib.fail ("The selected item is empty. Select an item that plays audio.") end
    local name = M.take_name (take)
    if r.TakeIsMIDI (take) then sentence (name, "is MIDI. Select an audio item.") end
    if item_value (item, "C_LOCK") % 2 == 1 then sentence (name, "is locked. Unlock it first.") end
    local plays = M.read (item, take)
    if not plays then sentence (name, "has no source. Select an item that plays audio.") end
    if plays.kind:match ("^_?OFFLINE") then sentence (name, "is offline. Set its media online first.") end
    if plays.file == "" or plays.rate <= 0 or plays.channels == 0 then
      sentence (name, ("plays no audio file (%s). Glue the item, then run the action again."):format (plays.kind))
    end
    if not files.exists (plays.file) then sentence (name, "can't be used: " .. plays.file .. " is missing.") end
    if plays.channels > LARGEST_CHANNELS then
      sentence (name, ("has %d channels; stemfix works on mono and stereo."):format (plays.channels))
    end
    if not M.is_heard (plays) then sentence (name, "plays nothing of its file.") end
    return take, plays
  end

  --- The part of an item, in its own seconds, that plays take time [from, to]; all of it where there is no piece.
  function M.part (plays, piece)
    if not piece then return 0, plays.length end
    local first, last = (piece.from - plays.start) / plays.playrate, (piece.to - plays.start) / plays.playrate
    return math.max (0, first), math.min (plays.length, last)
  end

  --- Whether an edge of the part lies within a fade, which can't be split without being heard.
  function M.cuts_fade (item, plays, piece)
    local function fade (side)
      local automatic = item_value (item, "D_FADE" .. side .. "LEN_AUTO")
      return automatic >= 0 and automatic or item_value (item, "D_FADE" .. side .. "LEN")
    end
    local slack = EPS / plays.rate
    local fade_in, fade_out = fade ("IN"), plays.length - fade ("OUT")
    for _, edge in ipairs ({ M.part (plays, piece) }) do
      local inside = edge > slack and edge < plays.length - slack
      if inside and (edge < fade_in - slack or edge > fade_out + slack) then return true end
    end
    return false
  end

  local function to_frames (plays, time)
    local section = plays.section
    if not section then return time * plays.rate end
    if section.reversed then return (section.offset + section.length - time) * plays.rate end
    return (section.offset + time) * plays.rate
  end

  --- What is heard, as frames of the file: first, stop, not rounded. nil where nothing of the file is.
  function M.heard (plays, piece)
    local first, last = M.part (plays, piece)
    local from, to = plays.start + first * plays.playrate, plays.start + last * plays.playrate
    local slack = EPS / plays.rate
    if plays.loops and (from < -slack or to > plays.source_length + slack) then
      from, to = 0, plays.source_length
    end
    from, to = math.max (from, 0), math.min (to, plays.source_length)
    if to - from <= slack then return nil end
    local a, b = to_frames (plays, from), to_frames (plays, to)
    a, b = math.max (math.min (a, b), 0), math.min (math.max (a, b), plays.frames)
    if b - a < 1 - EPS then return nil end
    return a, b
  end

  --- Whether anything of the file is heard. Stretch markers can't be followed here: taken as yes.
  function M.is_heard (plays, piece)
    return plays.markers > 0 or M.heard (plays, piece) ~= nil
  end

  --- The file's frames [first, stop) to be separated: what is heard, and handles within the source.
  function M.range (plays, piece)
    local a, b = M.heard (plays, piece)
    local low, high = 0, plays.frames
    if plays.section then
      local x, y = to_frames (plays, 0), to_frames (plays, plays.source_length)
      low, high = math.max (math.min (x, y), 0), math.min (math.max (x, y), plays.frames)
    end
    local handle = HANDLE_S * plays.rate
    local first = math.floor (math.max (a - handle, low) + EPS)
    local stop = math.ceil (math.min (b + handle, high) - EPS)
    -- A resampler looks beyond the section's edges, where REAPER has the file's own samples.
    if plays.section then first, stop = math.max (first - GUARD, 0), math.min (stop + GUARD, plays.frames) end
    return first, stop
  end

  --- How a take over the stem of the frames [first, stop) plays what `plays` does now: { start, section or nil }.
  -- nil where the stem does not hold all that is heard.
  function M.fit (plays, piece, first, stop)
    local a, b = M.heard (plays, piece)
    if not a or first > 0 and a - 1 < first or stop < plays.frames and b + 1 > stop then return nil end
    local rate, section = plays.rate, plays.section
    if not section then return { start = plays.start - first / rate } end
    -- Cut by whole frames from the section's own edges: what lies between frames stays there.
    local low, high = section.offset * rate, (section.offset + section.length) * rate
    local head = first > 0 and math.max (0, math.ceil (first - low - EPS)) or 0
    local tail = stop < plays.frames and math.max (0, math.ceil (high - stop - EPS)) or 0
    return { start = plays.start - (section.reversed and tail or head) / rate,
      section = { offset = (low + head - first) / rate, length = section.length - (head + tail) / rate,
        reversed = section.reversed } }
  end

  return M
end
