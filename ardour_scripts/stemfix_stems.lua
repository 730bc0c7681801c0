-- stemfix_stems: the files that a job delivered, checked, and as regions that the session knows.
return function (lib)
  local M = {}
  local files, compat, regions = lib.use ("files"), lib.use ("compat"), lib.use ("region")

  local function session_folder ()
    return (Session:path ():gsub ("/+$", ""))
  end

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

  --- Where Ardour keeps the session's own recordings, or nil.
  local function audio_folder ()
    local session = session_folder ()
    local folder = session .. "/interchange/" .. session:match ("([^/]+)$") .. "/audiofiles"
    return files.exists (folder .. "/.") and folder or nil
  end

  --- Whole-file regions over `path`, by id. Another program's regions may have the same name, never the same path.
  local function whole_files (path)
    local found = {}
    for _, region in pairs (ARDOUR.RegionFactory.regions ():table ()) do
      local audio = region:whole_file () and region:to_audioregion ()
      if audio and not audio:isnil () then
        local file = region:source (0):to_filesource ()
        if not file:isnil () and file:path ():match ("([^/]+)$") == path:match ("([^/]+)$") then
          found[regions.id (region)] = region
        end
      end
    end
    return found
  end

  local function bring (path, position, take)
    local list = C.StringVector ()
    list:push_back (path)
    take (list, Temporal.timepos_t (position))
  end

  --- Without a copy: an adopted file is saved and moved with the session.
  local function embed (list, position)
    Editor:do_embed (list, Editing.ImportSerializeFiles, Editing.ImportAsRegion, position, ARDOUR.PluginInfo (),
      ARDOUR.Track ())
  end

  local function import (list, position)
    Editor:do_import (list, Editing.ImportSerializeFiles, Editing.ImportAsRegion, ARDOUR.SrcQuality.SrcBest,
      ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore, position,
      ARDOUR.PluginInfo (), ARDOUR.Track (), false)
  end

  --- Give stems' files a second name among the session's own recordings; the same files, no copies.
  function M.adopt (paths)
    local folder, missing = audio_folder (), {}
    for _, path in ipairs (folder and paths or {}) do
      local own = folder .. "/" .. path:match ("([^/]+)$")
      if not files.exists (own) then missing[#missing + 1] = { path, own } end
    end
    if #missing > 0 then compat.link (missing) end
  end

  --- A new region over the whole of a stem's file. Fails where Ardour does not take it.
  function M.bring_in (path, position)
    local folder = audio_folder ()
    local own = folder and folder .. "/" .. path:match ("([^/]+)$")
    local linked = own ~= nil and files.exists (own)
    local before = whole_files (path)
    bring (linked and own or path, position, linked and embed or import)
    local made
    for id, region in pairs (whole_files (path)) do
      if not before[id] then made = region end
    end
    if not made then lib.fail ("Ardour could not take " .. path .. " in. Nothing was changed; see Ardour's log.") end
    -- Ardour noted an "insert file" that changed nothing; left there, one undo would seem to do nothing.
    Editor:undo (1)
    return ARDOUR.RegionFactory.clone_region (made, true, false)
  end

  return M
end
