-- projects: the open projects, and items in them by their GUIDs, which outlive edits, undo and REAPER itself.
return function (lib)
  local M = {}
  local files, source = lib.use ("files"), lib.use ("source")
  local r = reaper

  --- { { project, path }, ... } of all tabs.
  function M.open ()
    local found = {}
    while true do
      local project, path = r.EnumProjects (#found)
      if not project then return found end
      found[#found + 1] = { project = project, path = path }
    end
  end

  --- The project of the active tab and its path; "" for one that was never saved.
  function M.active ()
    return r.EnumProjects (-1)
  end

  --- Items of a project by GUID: { guid = item }.
  function M.items (project)
    local found = {}
    for index = 0, r.CountMediaItems (project) - 1 do
      local item = r.GetMediaItem (project, index)
      found[source.item_guid (item)] = item
    end
    return found
  end

  --- The take of an item with this GUID, or nil.
  function M.take (item, guid)
    for index = 0, r.GetMediaItemNumTakes (item) - 1 do
      local take = r.GetTake (item, index)
      if take and source.take_guid (take) == guid then return take end
    end
  end

  --- What names a tab as long as it is open.
  function M.tab (project)
    return tostring (project)
  end

  --- The open project that a batch belongs to, or nil. Another one may be a copy with the same GUIDs.
  function M.of (batch)
    local empty
    for _, tab in ipairs (M.open ()) do
      local same_path = batch.path ~= "" and files.normal (tab.path) == files.normal (batch.path)
      if same_path or M.tab (tab.project) == batch.tab then
        local items = M.items (tab.project)
        for _, job in ipairs (batch.jobs) do
          if items[job.what.item] then return tab.project end
        end
        if same_path then empty = tab.project end
      end
    end
    return empty
  end

  function M.is_recording (project)
    return r.GetPlayStateEx (project) & 4 ~= 0
  end

  return M
end
