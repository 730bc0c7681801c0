-- stemfix_stems: the files that a job delivered, checked, and as regions that the session knows.
return function (lib)
  local M = {}
  local files, regions, compat = lib.use ("files"), lib.use ("region"), lib.use ("compat")

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

  --- The folder in which the session keeps its own audio, or nil where it is not where Ardour 7 to 9 have it.
  local function audio_folder ()
    local folder = (Session:path ():gsub ("/+$", "")) .. "/interchange/" .. Session:name () .. "/audiofiles"
    return files.exists (folder .. "/.") and folder or nil
  end

  --- The new region that `bring (list of paths)` leaves behind; nil where it leaves none.
  local function made_by (path, bring)
    local before, list = whole_files (), C.StringVector ()
    list:push_back (path)
    bring (list)
    for id, region in pairs (whole_files ()) do
      if not before[id] then
        -- Ardour noted an "insert file" that changed nothing; left there, one undo would seem to do nothing.
        Editor:undo (1)
        return region
      end
    end
  end

  --- Copied into the session by Ardour, in the session's format: a second per minute of four stems.
  local function import (path, place)
    return made_by (path, function (list)
      Editor:do_import (list, Editing.ImportSerializeFiles, Editing.ImportAsRegion, ARDOUR.SrcQuality.SrcBest,
        ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore, place,
        ARDOUR.PluginInfo (), ARDOUR.Track (), false)
    end)
  end

  --- A file in the session's own audio folder, taken as it is, which costs no time. Ardour saves its absolute path
  -- as its origin and looks for it there alone, so a session that moves would lose it; of a file given by a
  -- relative path (7.3 to 9) it saves that, and looks for the name in its own folders. The path must lead to the
  -- file from the folder that Ardour works in and from the audio folder: by the root, it does from anywhere.
  local function embed (path, place)
    local made = made_by (("../"):rep (64) .. path:gsub ("^/+", ""), function (list)
      Editor:do_embed (list, Editing.ImportSerializeFiles, Editing.ImportAsRegion, place, ARDOUR.PluginInfo (),
        ARDOUR.Track ())
    end)
    local file = made and made:source (0):to_filesource ()
    return file and file:within_session () and file:origin ():sub (1, 1) ~= "/" and made or nil
  end

  --- Give each stem a second name, `inside`, in the session's audio folder: a hard link takes no room, and
  -- Ardour never writes into such a file. Fails with none made where one can't be.
  local function link (stems, folder)
    local words, taken = {}, {}
    for _, stem in ipairs (stems) do
      local base, number = folder .. "/" .. files.file_name (stem.title, 100), 1
      repeat
        stem.inside = base .. (number > 1 and "-" .. number or "") .. ".wav"
        number = number + 1
      until not taken[stem.inside] and not files.exists (stem.inside)
      taken[stem.inside] = true
      local from, to = compat.quote (stem.path), compat.quote (stem.inside)
      words[#words + 1] = ("{ ln -- %s %s || cp -- %s %s; } 2>/dev/null"):format (from, to, from, to)
    end
    compat.execute (table.concat (words, "; "))
    for _, stem in ipairs (stems) do
      local header, why = files.wav_header (stem.inside)
      if not header then
        for _, other in ipairs (stems) do os.remove (other.inside) end
        lib.fail (("The stem %s could not be put into the session: %s. Nothing was changed. Is the disk full?"):format (
          stem.path, why))
      end
    end
  end

  --- Give every stem ({ name, path, title }) a new region over its whole file. `go_on ()` is called in between.
  -- Fails where Ardour does not take one.
  function M.bring_in (stems, position, go_on)
    local folder = audio_folder ()
    if folder then link (stems, folder) end
    for _, stem in ipairs (stems) do
      go_on ()
      local place = Temporal.timepos_t (position)
      local made = stem.inside and embed (stem.inside, place) or import (stem.path, place)
      if not made then
        lib.fail ("Ardour could not take " .. stem.path .. " in. Nothing was changed; see Ardour's log.")
      end
      stem.region = ARDOUR.RegionFactory.clone_region (made, true, false)
    end
  end

  return M
end
