-- actions: what each entry in REAPER's action list does.
return function (lib)
  local M = {}
  local files, jobs, projects, follow = lib.use ("files"), lib.use ("jobs"), lib.use ("projects"), lib.use ("follow")
  local r = reaper
  local PRESETS = "fast,balanced,maximum,none"

  local function selected ()
    local project, items = projects.active (), {}
    for index = 0, r.CountSelectedMediaItems (project) - 1 do
      items[#items + 1] = r.GetSelectedMediaItem (project, index)
    end
    return items
  end

  local function selected_or_fail ()
    local items = selected ()
    if #items == 0 then lib.fail ("Select an audio item first.") end
    return items
  end

  local function start (items, preset, title, piece_of)
    -- Another follower must not see half of a batch; it ends by itself.
    local batch = jobs.make (items, preset, title, piece_of)
    lib.log (("Batch %s: %d items, preset %s"):format (batch.id, #items, preset))
    follow.run ()
  end

  local function preset ()
    return lib.settings ().preset or "balanced"
  end

  function M.enhance ()
    start (selected_or_fail (), preset (), "stemfix: Enhance selected item")
  end

  function M.separate ()
    start (selected_or_fail (), "none", "stemfix: Separate selected item")
  end

  function M.enhance_with_preset ()
    local items = selected_or_fail ()
    local names = (lib.settings ().presets or PRESETS):gsub ("%s*,%s*", ", ")
    local ok, chosen = r.GetUserInputs ("stemfix: Enhance selected item", 1,
      ("Preset (%s),extrawidth=120"):format (names:gsub (", ", " / ")), preset ())
    if not ok then return end
    chosen = chosen:match ("^%s*(.-)%s*$")
    local known = false
    for name in names:gmatch ("[^,]+") do known = known or name:match ("^%s*(.-)$") == chosen end
    if not known then lib.fail (("There is no preset '%s'. There are: %s."):format (chosen, names)) end
    start (items, chosen, "stemfix: Enhance selected item")
  end

  --- The selected items, or else all on the selected tracks, that the time selection touches.
  local function items_within (first, last)
    local project, items, found = projects.active (), selected (), {}
    if #items == 0 then
      for index = 0, r.CountSelectedTracks (project) - 1 do
        local track = r.GetSelectedTrack (project, index)
        for at = 0, r.CountTrackMediaItems (track) - 1 do items[#items + 1] = r.GetTrackMediaItem (track, at) end
      end
      if #items == 0 then lib.fail ("Select the items or the tracks that the time selection is about.") end
    end
    for _, item in ipairs (items) do
      local position = r.GetMediaItemInfo_Value (item, "D_POSITION")
      local stop = position + r.GetMediaItemInfo_Value (item, "D_LENGTH")
      if position < last - 1e-9 and stop > first + 1e-9 then found[#found + 1] = item end
    end
    if #found == 0 then lib.fail ("None of the selected items lies within the time selection.") end
    return found
  end

  function M.enhance_time_selection ()
    local first, last = r.GetSet_LoopTimeRange2 (projects.active (), false, false, 0, 0, false)
    if last <= first then lib.fail ("Make a time selection first.") end
    start (items_within (first, last), preset (), "stemfix: Enhance time selection", function (_, plays)
      if first <= plays.position and last >= plays.position + plays.length then return nil end
      return { from = plays.start + (first - plays.position) * plays.playrate,
        to = plays.start + (last - plays.position) * plays.playrate }
    end)
  end

  --- The newest batch of the active project that is done, and whether it is still waited for.
  local function last_result ()
    local active = projects.active ()
    local pending = jobs.pending ()
    for index = #pending, 1, -1 do
      local batch = pending[index]
      local at = jobs.look (batch)
      if at.done and not at.failed and projects.of (batch) == active then return batch, true end
    end
    for _, batch in ipairs (jobs.closed ()) do
      local at = jobs.look (batch)
      if at.done and not at.failed and projects.of (batch) == active then return batch, false end
    end
    lib.fail ("stemfix has no result for this project yet.")
  end

  function M.import_last ()
    local batch, waited_for = last_result ()
    if projects.is_recording (projects.active ()) then lib.fail ("REAPER is recording. Stop first.") end
    if waited_for then jobs.close (batch) end
    local project, takes = follow.bring_in (batch)
    lib.use ("stems").build_peaks (project, takes)
  end

  function M.open_comparison ()
    local folder = jobs.where ((last_result ()))
    local page = folder .. "/comparison.html"
    if files.exists (page) or lib.use ("page").make (folder) then lib.use ("browser").open (page) end
  end

  function M.cancel ()
    local count = 0
    for _, batch in ipairs (jobs.pending ()) do
      if batch.session == jobs.session () and not batch.told then
        jobs.cancel (batch)
        count = count + 1
      end
    end
    if count == 0 then lib.fail ("stemfix is not working on anything.") end
  end

  --- At REAPER's start: offer what was finished while a project was closed, whenever one is opened.
  function M.startup ()
    local seen
    while true do
      local project, path = projects.active ()
      local now = tostring (project) .. path
      if now ~= seen then
        seen = now
        if r.GetExtState ("stemfix", "follower") == "" and follow.offer () then follow.run () end
      end
      local looked = r.time_precise ()
      repeat lib.next_tick () until r.time_precise () - looked > 1
    end
  end

  return M
end
