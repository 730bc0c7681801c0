-- stemfix_bring_in: a batch of finished jobs becomes tracks beside the originals, in one undo step.
return function (lib)
  local M = {}
  local compat, regions, stem_files = lib.use ("compat"), lib.use ("region"), lib.use ("stems")
  local COLOURS = { vocals = 0xE0607EFF, drums = 0xE09A3CFF, bass = 0x8E6FD8FF, other = 0x46A5A0FF,
    guitar = 0x7CB342FF, piano = 0x4F8FE0FF, residual = 0x8A8A8AFF, song = 0xD6C454FF }
  local GROUP_COLOUR = 0x46A5A0FF
  local CONNECT_S = 3

  function M.refuse_while_recording ()
    if Session:actively_recording () then
      lib.fail ("Ardour is recording. Stop, then use 'stemfix: Import last result'.")
    end
  end

  --- Where a job's stems belong now: beside the region, wherever it is by now; else where it was.
  local function place (what)
    local region, track = regions.find (what.id)
    if not region then return what.position, nil, regions.find_track (what.track_id) end
    local position = region:position ():samples () - (region:start ():samples () - what.start)
    if position < 0 then
      lib.fail (("Region '%s' was moved so far that its beginning would lie before 0. Move it, then use "
        .. "'stemfix: Import last result'."):format (what.name))
    end
    return position, region, track
  end

  --- Jobs by the track that they came from: { { track, name, order, jobs }, ... }
  local function by_track (jobs)
    local list, known = {}, {}
    for _, job in ipairs (jobs) do
      job.place, job.region, job.original = place (job.what)
      local key = job.original and regions.id (job.original) or job.what.track_id
      if not known[key] then
        known[key] = { original = job.original, name = job.what.track, jobs = {} }
        list[#list + 1] = known[key]
      end
      table.insert (known[key].jobs, job)
    end
    return list
  end

  --- The names of all stems of a track's jobs, in the model's order, and the most channels of any.
  local function stem_names (jobs)
    local names, known, channels = {}, {}, 1
    for _, job in ipairs (jobs) do
      channels = math.max (channels, job.what.channels)
      for _, stem in ipairs (job.stems) do
        if not known[stem.name] then
          known[stem.name] = true
          names[#names + 1] = stem.name
        end
      end
    end
    return names, channels
  end

  local function make_tracks (source, made)
    local names, channels = stem_names (source.jobs)
    local master = Session:master_out ()
    local outputs = master:isnil () and channels or master:n_inputs ():n_audio ()
    local order = ARDOUR.PresentationInfo.max_order
    if source.original then order = source.original:presentation_info_ptr ():order () + 1 end
    local tracks = compat.new_audio_tracks (#names, channels, outputs, order, source.name)
    for _, track in ipairs (tracks) do made[#made + 1] = track end
    if #tracks ~= #names then lib.fail ("Ardour can't make another track.") end
    local group = Session:new_route_group ("stemfix " .. source.name)
    group:set_rgba (GROUP_COLOUR)
    -- Each stem keeps its own colour.
    group:set_color (false)
    source.tracks = {}
    for index, name in ipairs (names) do
      local track = tracks[index]
      track:set_name (source.name .. " " .. name)
      track:presentation_info_ptr ():set_color (COLOURS[name] or GROUP_COLOUR)
      group:add (track)
      source.tracks[name] = track
    end
  end

  --- For each output port of `track`, the input ports of busses that it leads to; nil where it leads to none.
  local function targets (track)
    local found, any = {}, false
    local outputs = track:output ()
    for index = 0, outputs:n_ports ():n_audio () - 1 do
      local port = outputs:audio (index)
      found[index] = {}
      for _, route in ipairs (Session:get_routes ():table ()) do
        local inputs = route:input ()
        for other = 0, inputs:n_ports ():n_audio () - 1 do
          local name = inputs:audio (other):name ()
          if port:connected_to (name) then
            table.insert (found[index], name)
            any = true
          end
        end
      end
    end
    return any and found or nil
  end

  --- Let the stems go where the original goes. Ardour connects new tracks to Master from a thread of its own: a
  -- session saved before that plays without the last one.
  local function connect (source)
    local wanted = source.original and targets (source.original)
    local master = Session:master_out ()
    local deadline = ARDOUR.LuaAPI.monotonic_time () + CONNECT_S * 1000000
    for _, track in pairs (source.tracks) do
      local outputs = track:output ()
      for index = 0, outputs:n_ports ():n_audio () - 1 do
        local port = outputs:audio (index)
        while not master:isnil () and not port:connected () and ARDOUR.LuaAPI.monotonic_time () < deadline do
          ARDOUR.LuaAPI.usleep (5000)
        end
        local names = wanted and wanted[index] or {}
        if not wanted and not master:isnil () and index < master:n_inputs ():n_audio () then
          names = { master:input ():audio (index):name () }
        end
        if #names > 0 and not (#names == 1 and port:connected_to (names[1])) then
          port:disconnect_all ()
          for _, name in ipairs (names) do port:connect (name) end
        end
      end
    end
  end

  --- Add the stems' regions and mute the originals, as one step that one undo takes back.
  local function arrange (sources, title)
    Session:begin_reversible_command (title)
    for _, source in ipairs (sources) do
      for name, track in pairs (source.tracks) do
        local playlist = track:to_track ():playlist ()
        playlist:to_stateful ():clear_changes ()
        for _, job in ipairs (source.jobs) do
          for _, stem in ipairs (job.stems) do
            if stem.name == name then
              playlist:add_region (stem.region, Temporal.timepos_t (job.place), 1, false)
            end
          end
        end
        Session:add_stateful_diff_command (playlist:to_statefuldestructible ())
      end
      for _, job in ipairs (source.jobs) do
        if job.region then
          job.region:to_stateful ():clear_changes ()
          job.region:set_muted (true)
          Session:add_stateful_diff_command (job.region:to_statefuldestructible ())
        end
      end
    end
    if not Session:abort_empty_reversible_command () then Session:commit_reversible_command (nil) end
  end

  --- Bring the stems of all jobs ({ what, result } each) in, or fail with the session as it was.
  -- `go_on ()` is called now and then: Ardour's main loop turns meanwhile.
  function M.run (given, go_on)
    M.refuse_while_recording ()
    -- Whatever can fail comes before the first change.
    local jobs = {}
    for index, job in ipairs (given) do
      jobs[index] = { what = job.what, stems = stem_files.check (job.what, job.result) }
    end
    local sources = by_track (jobs)
    for _, job in ipairs (jobs) do
      for _, stem in ipairs (job.stems) do stem.title = job.what.name .. " " .. stem.name end
      stem_files.bring_in (job.stems, job.place, go_on)
      for _, stem in ipairs (job.stems) do
        stem.region:set_name (stem.title)
        regions.shape (stem.region, job.what)
      end
    end
    local made = {}
    local _, why = lib.try (function ()
      for _, source in ipairs (sources) do
        go_on ()
        make_tracks (source, made)
      end
      go_on ()
      arrange (sources, "stemfix: " .. (jobs[1].what.name) .. (#jobs > 1 and " and others" or ""))
      for _, source in ipairs (sources) do connect (source) end
      return true
    end)
    if not why then return #made end
    lib.try (function () Session:abort_reversible_command () end)
    local left = 0
    for _, track in ipairs (made) do
      if not compat.remove_track (track) then left = left + 1 end
    end
    lib.fail (why .. (left > 0 and (" %d empty tracks were made before that; remove them."):format (left) or ""))
  end

  return M
end
