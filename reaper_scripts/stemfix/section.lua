-- section: let a take play a section of its file, as REAPER does for sectioned and reversed items.
return function (lib)
  local M = {}
  local r = reaper

  local function number (value)
    -- A locale may have a comma as decimal point.
    return (("%.14g"):format (value):gsub (",", "."))
  end

  --- `chunk` with its only source inside of a section; nil where it has none or more.
  function M.wrap (chunk, section)
    local lines, from, to, depth = {}, nil, nil, 0
    for line in chunk:gmatch ("[^\r\n]+") do
      lines[#lines + 1] = line
      local word = line:match ("^%s*(<?[%w_>]*)")
      if word == "<SOURCE" and not (from and not to) then
        if from then return nil end
        from, depth = #lines, 0
      end
      if from and not to then
        if word:sub (1, 1) == "<" then depth = depth + 1 end
        if word == ">" then depth = depth - 1 end
        if depth == 0 then to = #lines end
      end
    end
    if not to then return nil end
    table.insert (lines, to, ">")
    -- Bit 2 of the mode: backwards.
    for index, line in ipairs ({ "<SOURCE SECTION", "LENGTH " .. number (section.length),
      "MODE " .. (section.reversed and 2 or 0), "STARTPOS " .. number (section.offset), "OVERLAP 0" }) do
      table.insert (lines, from + index - 1, line)
    end
    return table.concat (lines, "\n") .. "\n"
  end

  --- Make the only take of an item play `section` ({ offset, length, reversed } in seconds) of its file.
  -- Returns the take, which is another one now. Fails where REAPER did not understand.
  function M.apply (item, section)
    local ok, chunk = r.GetItemStateChunk (item, "", false)
    local wrapped = ok and M.wrap (chunk, section)
    if not wrapped or not r.SetItemStateChunk (item, wrapped, false) then
      lib.fail ("REAPER does not take a section of a stem in.")
    end
    local take = r.GetActiveTake (item)
    local is_section, offset, length, reversed = r.PCM_Source_GetSectionInfo (r.GetMediaItemTake_Source (take))
    if not is_section or math.abs (offset - section.offset) > 1e-7 or math.abs (length - section.length) > 1e-7
      or reversed ~= section.reversed then
      lib.fail ("REAPER reads a section of a stem in another way than expected.")
    end
    return take
  end

  return M
end
