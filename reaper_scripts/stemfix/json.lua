-- json: JSON to and from Lua tables. A JSON null is nil, and an empty table is written as an array.
return function (lib)
  local M = {}
  local escapes = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

  local function text (s)
    return '"' .. s:gsub ('[%c"\\\127]', function (c) return ("\\u%04x"):format (c:byte ()) end) .. '"'
  end

  function M.encode (value)
    local kind = type (value)
    if kind == "string" then return text (value) end
    if kind == "boolean" then return tostring (value) end
    if kind == "number" then
      if math.type (value) == "integer" then return ("%d"):format (value) end
      if value ~= value or math.abs (value) == math.huge then error ("JSON has no number " .. value) end
      -- A locale may have a comma as decimal point.
      return (("%.17g"):format (value):gsub (",", "."))
    end
    if kind ~= "table" then error ("JSON has no " .. kind) end
    local parts = {}
    if #value > 0 or next (value) == nil then
      for _, item in ipairs (value) do parts[#parts + 1] = M.encode (item) end
      return "[" .. table.concat (parts, ",") .. "]"
    end
    local keys = {}
    for key in pairs (value) do keys[#keys + 1] = key end
    table.sort (keys)
    for _, key in ipairs (keys) do parts[#parts + 1] = text (key) .. ":" .. M.encode (value[key]) end
    return "{" .. table.concat (parts, ",") .. "}"
  end

  local function wrong (at)
    error ("not JSON at byte " .. at)
  end

  local function skip (s, at)
    return s:find ("[^ \t\r\n]", at) or #s + 1
  end

  local function read_text (s, at)
    local parts = {}
    while true do
      local stop = s:find ('["\\]', at) or wrong (at)
      parts[#parts + 1] = s:sub (at, stop - 1)
      if s:byte (stop) == 34 then return table.concat (parts), stop + 1 end
      local mark = s:sub (stop + 1, stop + 1)
      at = stop + 2
      if mark == "u" then
        local code = tonumber (s:match ("^%x%x%x%x", at) or wrong (at), 16)
        at = at + 4
        local low = code >= 0xD800 and code < 0xDC00 and s:match ("^\\u([dD][c-fC-F]%x%x)", at)
        if low then
          code = 0x10000 + ((code - 0xD800) << 10) + (tonumber (low, 16) - 0xDC00)
          at = at + 6
        end
        parts[#parts + 1] = utf8.char (code)
      else
        parts[#parts + 1] = escapes[mark] or wrong (at)
      end
    end
  end

  local read_value

  local function read_all (s, at, close, read_one)
    at = skip (s, at)
    if s:sub (at, at) == close then return at + 1 end
    while true do
      at = skip (s, read_one (skip (s, at)))
      local mark = s:sub (at, at)
      if mark == close then return at + 1 end
      if mark ~= "," then wrong (at) end
      at = at + 1
    end
  end

  local words = { ["true"] = true, ["false"] = false }

  function read_value (s, at)
    local mark = s:sub (at, at)
    local found = {}
    if mark == "{" then
      return found, read_all (s, at + 1, "}", function (here)
        if s:sub (here, here) ~= '"' then wrong (here) end
        local key, after = read_text (s, here + 1)
        after = skip (s, after)
        if s:sub (after, after) ~= ":" then wrong (after) end
        found[key], after = read_value (s, skip (s, after + 1))
        return after
      end)
    elseif mark == "[" then
      return found, read_all (s, at + 1, "]", function (here)
        local item, after = read_value (s, here)
        found[#found + 1] = item
        return after
      end)
    elseif mark == '"' then
      return read_text (s, at + 1)
    end
    local word = s:match ("^%a+", at)
    if word == "null" then return nil, at + 4 end
    if words[word] ~= nil then return words[word], at + #word end
    local digits = s:match ("^-?%d[%d.eE+-]*", at) or wrong (at)
    return tonumber (digits) or wrong (at), at + #digits
  end

  --- The value in `s`; nil where it is not JSON.
  function M.decode (s)
    local ok, value = pcall (function ()
      local found, after = read_value (s, skip (s, 1))
      if skip (s, after) <= #s then wrong (after) end
      return found
    end)
    return ok and value or nil
  end

  return M
end
