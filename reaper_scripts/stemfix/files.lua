-- files: small files written whole, JSON on disk, folders.
return function (lib)
  local M = {}
  local json = lib.use ("json")
  local r = reaper
  local windows = r.GetOS ():match ("^Win") ~= nil

  function M.exists (path)
    local file = io.open (path, "rb")
    if file then file:close () end
    return file ~= nil
  end

  --- The bytes of a small file, or nil.
  function M.read (path)
    local file = io.open (path, "rb")
    if not file then return nil end
    local data = file:read ("a")
    file:close ()
    return data
  end

  --- Put a file at `path` by one rename.
  function M.write (path, data)
    local partial = path .. ".part"
    local file, why = io.open (partial, "wb")
    local ok = file ~= nil
    if ok then ok, why = file:write (data) end
    if file then
      local closed, reason = file:close ()
      if ok and not closed then ok, why = nil, reason end
    end
    -- On Windows a rename does not replace.
    if ok and windows then os.remove (path) end
    if ok then ok, why = os.rename (partial, path) end
    if not ok then
      os.remove (partial)
      lib.fail (path .. " can't be written: " .. tostring (why):gsub ("^.*: ", "") .. ". Nothing was changed.")
    end
  end

  function M.read_json (path)
    local data = M.read (path)
    return data and json.decode (data)
  end

  function M.write_json (path, value)
    M.write (path, json.encode (value))
  end

  --- Make a folder and those above it.
  function M.make_folder (path)
    r.RecursiveCreateDirectory (path, 0)
  end

  --- Names of the files in a folder.
  function M.list (path)
    -- REAPER remembers a listing until it is asked for entry -1.
    r.EnumerateFiles (path, -1)
    local names = {}
    repeat
      local name = r.EnumerateFiles (path, #names)
      names[#names + 1] = name
    until not name
    table.sort (names)
    return names
  end

  --- A path in the form in which two of the same file are equal.
  function M.normal (path)
    path = path:gsub ("\\", "/")
    return windows and path:lower () or path
  end

  return M
end
