-- stemfix_files: small files written whole, JSON on disk, and what a WAV file's header says.
return function (lib)
  local M = {}
  local json, compat = lib.use ("json"), lib.use ("compat")

  function M.exists (path)
    local file = io.open (path, "rb")
    if file then file:close () end
    return file ~= nil
  end

  --- The bytes of a file, or nil.
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

  --- Make the folders that are not there. Fails where one can't be made.
  function M.make_folders (paths)
    local missing = {}
    for _, path in ipairs (paths) do
      if not M.exists (path .. "/.") then missing[#missing + 1] = path end
    end
    if #missing > 0 then compat.make_folders (missing) end
    for _, path in ipairs (missing) do
      if not M.exists (path .. "/.") then lib.fail ("The folder " .. path .. " can't be made. Check its disk.") end
    end
  end

  --- `name` without what a file name may not hold, at most `bytes` long.
  function M.file_name (name, bytes)
    name = name:gsub ('[%c/\\:*?"<>|]', "_"):gsub ("^[. ]+", ""):gsub ("[. ]+$", "")
    while #name > bytes or not utf8.len (name) do
      name = #name > bytes and name:sub (1, bytes) or name:gsub ("[\128-\255]", "_")
      -- A cut may have gone through a character.
      name = name:gsub ("[\192-\255][\128-\191]*$", "")
    end
    return name == "" and "region" or name
  end

  --- { format, channels, rate, bits, frames } of a WAV, RF64 or BW64 file, or nil and why it can't be used.
  function M.wav_header (path)
    local file = io.open (path, "rb")
    if not file then return nil, "it is not there" end
    local head = file:read (12) or ""
    local size = file:seek ("end")
    local found, at, long_data = {}, 12, nil
    if #head == 12 and (head:sub (1, 4) == "RIFF" or head:sub (1, 4) == "RF64" or head:sub (1, 4) == "BW64")
      and head:sub (9, 12) == "WAVE" then
      while at + 8 <= size do
        file:seek ("set", at)
        local name, length = string.unpack ("<c4I4", file:read (8))
        if name == "ds64" then
          long_data = string.unpack ("<I8", file:read (24) or (" "):rep (24), 9)
        elseif name == "fmt " and length >= 16 then
          local body = file:read (math.min (length, 40)) or ""
          if #body < 16 then break end
          found.format, found.channels, found.rate = string.unpack ("<I2I2I4", body)
          found.bits = string.unpack ("<I2", body, 15)
          if found.format == 0xFFFE and #body >= 26 then found.format = string.unpack ("<I2", body, 25) end
        elseif name == "data" then
          found.bytes = length == 0xFFFFFFFF and long_data or length
          found.missing = at + 8 + found.bytes - size
          break
        end
        at = at + 8 + length + length % 2
      end
    end
    file:close ()
    if not found.bytes or not found.channels or found.bits == 0 or found.channels == 0 then
      return nil, "it is damaged: its header can't be read"
    end
    if found.missing > 0 then return nil, "it is damaged: " .. found.missing .. " bytes are missing at its end" end
    found.frames = found.bytes // (found.channels * found.bits // 8)
    return found
  end

  return M
end
