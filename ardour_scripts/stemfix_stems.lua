-- stemfix_stems: the files that a job delivered, checked, and as regions that the session knows.
return function (lib)
  local M = {}
  local files, regions = lib.use ("files"), lib.use ("region")

  --- The stems in a job's result: { { name, path }, ... }. Fails where one is damaged or does not fit the region.
  function M.check (what, result)
    local stems = {}
    for _, file in ipairs (result.files or {}) do
      if file.name ~= "mix" then
        local header, why = files.wav_header (file.path)
        if header and header.frames ~= what.length then
          why = ("it is damaged: it holds %d samples of %d"):format (header.frames, what.length)
        elseif header and (header.rate ~= what.rate or header.channels ~= what.channels) then
          why = ("it has %d channels at %d Hz, and the region has %d at %d Hz"):format (
            header.channels, header.rate, what.channels, what.rate)
        end
        if why then
          lib.fail (("The stem %s can't be used: %s. Nothing was changed. Run the action again."):format (file.path, why))
        end
        stems[#stems + 1] = { name = file.name, path = file.path }
      end
    end
    if #stems == 0 then lib.fail ("The job delivered no stems. Nothing was changed.") end
    return stems
  end

  --- Regions that span a whole file, by id.
  local function whole_files ()
    local found = {}
    for _, region in pairs (ARDOUR.RegionFactory.regions ():table ()) do
      if region:whole_file () then found[regions.id (region)] = region end
    end
    return found
  end

  --- A new region over the whole of a stem's file, copied into the session in its own format. (A file that is
  -- embedded instead costs no time, but Ardour saves its absolute path: a session that moves would lose it.)
  -- Fails where Ardour does not take it.
  function M.bring_in (path, position)
    local before = whole_files ()
    local list, place = C.StringVector (), Temporal.timepos_t (position)
    list:push_back (path)
    Editor:do_import (list, Editing.ImportSerializeFiles, Editing.ImportAsRegion, ARDOUR.SrcQuality.SrcBest,
      ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore, place,
      ARDOUR.PluginInfo (), ARDOUR.Track (), false)
    local made
    for id, region in pairs (whole_files ()) do
      if not before[id] then made = region end
    end
    if not made then lib.fail ("Ardour could not take " .. path .. " in. Nothing was changed; see Ardour's log.") end
    -- Ardour noted an "insert file" that changed nothing; left there, one undo would seem to do nothing.
    Editor:undo (1)
    return ARDOUR.RegionFactory.clone_region (made, true, false)
  end

  return M
end
