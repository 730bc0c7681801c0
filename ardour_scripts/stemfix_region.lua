-- stemfix_region: what a selected region is, where its samples lie, and how it shapes them (gain, envelope, fades).
return function (lib)
  local M = {}
  local files, json = lib.use ("files"), lib.use ("json")
  local LARGEST_CHANNELS = 2

  function M.id (thing)
    return thing:to_stateful ():id ():to_s ()
  end

  --- The region with this id and its track, or nil.
  function M.find (id)
    for _, route in ipairs (Session:get_tracks ():table ()) do
      local track = route:to_track ()
      if not track:isnil () then
        for _, region in ipairs (track:playlist ():region_list ():table ()) do
          if M.id (region) == id then return region, track end
        end
      end
    end
  end

  --- The track with this id, or nil.
  function M.find_track (id)
    for _, route in ipairs (Session:get_tracks ():table ()) do
      if M.id (route) == id then return route:to_track () end
    end
  end

  --- The selected audio regions, by position. Fails where there is none that can serve.
  function M.selected ()
    local found, others = {}, 0
    for _, region in ipairs (Editor:get_selection ().regions:regionlist ():table ()) do
      if region:to_audioregion ():isnil () then
        others = others + 1
      else
        found[#found + 1] = region
      end
    end
    if #found == 0 then
      lib.fail (others > 0 and "The selected regions hold no audio. Select an audio region."
        or "Select an audio region first.")
    end
    table.sort (found, function (a, b) return a:position ():samples () < b:position ():samples () end)
    return found
  end

  local function envelope (region)
    if not region:envelope_active () then return nil end
    local points = {}
    for _, event in ipairs (region:envelope ():events ():table ()) do
      points[#points + 1] = { event.when:samples (), event.value }
    end
    return points
  end

  --- Where the samples of each channel lie, or nil where files can't name them exactly.
  local function sources (region, channels)
    local found = {}
    for index = 0, channels - 1 do
      local file = region:source (index):to_filesource ()
      if file:isnil () or file:gain () ~= 1 then return nil end
      local path = file:path ()
      -- Lossy files begin elsewhere for every decoder.
      local kind = (path:match ("%.(%w+)$") or ""):lower ()
      local exact = { wav = true, w64 = true, rf64 = true, bwf = true, aif = true, aiff = true, caf = true, flac = true }
      if not exact[kind] or not utf8.len (path) then return nil end
      if not files.exists (path) then
        lib.fail ("The file " .. path .. " of region '" .. region:name () .. "' is not there.")
      end
      found[#found + 1] = { path = path, channel = file:channel () }
    end
    return found
  end

  --- A region as plain data. Fails where it can't serve.
  function M.describe (region)
    local audio = region:to_audioregion ()
    local _, track = M.find (M.id (region))
    if not track then lib.fail ("Region '" .. region:name () .. "' is on no track.") end
    local channels = audio:n_channels ()
    if channels > LARGEST_CHANNELS then
      lib.fail (("Region '%s' has %d channels; stemfix works on mono and stereo."):format (region:name (), channels))
    end
    return {
      id = M.id (region), name = region:name (), track_id = M.id (track), track = track:name (),
      position = region:position ():samples (), start = region:start ():samples (),
      length = region:length ():samples (), channels = channels,
      rate = math.floor (Session:nominal_sample_rate () + 0.5),
      gain = audio:scale_amplitude (), envelope = envelope (audio), sources = sources (audio, channels),
      fade_in_active = audio:fade_in_active (), fade_out_active = audio:fade_out_active (),
    }
  end

  --- Write the region's samples, without gain, envelope and fades, as a float WAV file. `each (fraction)` may
  -- return true to stop; then there is no file, and the result is false.
  function M.write_wav (region, path, each)
    local readable = region:to_audioregion ():to_readable ()
    local frames, channels = region:length ():samples (), region:to_audioregion ():n_channels ()
    local rate, block = math.floor (Session:nominal_sample_rate () + 0.5), 8192
    local bytes = frames * channels * 4
    if bytes > 0xFFFFFF00 then lib.fail ("Region '" .. region:name () .. "' is too long. Split it.") end
    local file, why = io.open (path, "wb")
    if not file then lib.fail (path .. " can't be written: " .. why) end
    local function put (data)
      local ok, reason = file:write (data)
      if not ok then
        file:close ()
        os.remove (path)
        lib.fail (path .. " can't be written: " .. reason .. ". Nothing was changed.")
      end
    end
    put ("RIFF" .. string.pack ("<I4", 4 + 26 + 12 + 8 + bytes) .. "WAVEfmt "
      .. string.pack ("<I4I2I2I4I4I2I2I2", 18, 3, channels, rate, rate * channels * 4, channels * 4, 32, 0)
      .. "fact" .. string.pack ("<I4I4", 4, frames) .. "data" .. string.pack ("<I4", bytes))
    -- The objects must stay in variables: Lua would collect their memory under Ardour's hands.
    local memory, formats = {}, {}
    for channel = 1, channels do memory[channel] = ARDOUR.DSP.DspShm (block) end
    local at = 0
    while at < frames do
      local count, columns = math.min (block, frames - at), {}
      for channel = 1, channels do
        local floats = memory[channel]:to_float (0)
        if readable:read (floats, at, count, channel - 1) ~= count then
          file:close ()
          os.remove (path)
          lib.fail ("Ardour can't read region '" .. region:name () .. "' to its end.")
        end
        columns[channel] = floats:get_table (count)
      end
      local mixed = columns[1]
      if channels == 2 then
        mixed = {}
        for i = 1, count do mixed[2 * i - 1], mixed[2 * i] = columns[1][i], columns[2][i] end
      end
      -- Lua takes a few thousand arguments at a time.
      for first = 1, #mixed, 4096 do
        local last = math.min (#mixed, first + 4095)
        local n = last - first + 1
        formats[n] = formats[n] or "<" .. ("f"):rep (n)
        put (string.pack (formats[n], table.unpack (mixed, first, last)))
      end
      at = at + count
      if each and each (at / frames) then
        file:close ()
        os.remove (path)
        return false
      end
    end
    file:close ()
    return true
  end

  --- The file that tells the engine where the samples are: a channel list, or else a WAV file of the region.
  -- Returns its path and the range in it; false where `each` stopped it.
  function M.write_source (region, what, path, each)
    if what.sources then
      path = path .. ".stemfix-channels"
      files.write (path, json.encode ({
        channel_list_version = "1.0", sample_rate = what.rate, channels = what.sources }))
      return path, what.start, what.start + what.length
    end
    path = path .. ".wav"
    if not M.write_wav (region, path, each) then return false end
    return path, 0, what.length
  end

  --- Give `copy`, a new region over a stem, the gain, envelope and fades of the region described.
  function M.shape (copy, what)
    local audio = copy:to_audioregion ()
    audio:set_scale_amplitude (what.gain)
    if what.envelope then
      local line = audio:envelope ()
      line:clear_list ()
      for _, point in ipairs (what.envelope) do
        line:add (Temporal.timepos_t (point[1]), point[2], false, true)
      end
      audio:set_envelope_active (true)
    end
    for _, side in ipairs ({ "in", "out" }) do
      local fade = what["fade_" .. side]
      if fade then
        audio["set_fade_" .. side .. "_shape"] (audio, ARDOUR.FadeShape[fade.shape])
        audio["set_fade_" .. side .. "_length"] (audio, fade.length)
      end
      audio["set_fade_" .. side .. "_active"] (audio, what["fade_" .. side .. "_active"])
    end
  end

  return M
end
