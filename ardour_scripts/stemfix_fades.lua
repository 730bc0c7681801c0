-- stemfix_fades: length and shape of a region's fades, which Lua can't ask Ardour for: read from a saved state.
return function (lib)
  local M = {}
  local files = lib.use ("files")
  local SUPERCLOCKS_PER_SECOND = 282240000

  --- The session's present state as XML text, saved the way Ardour's own crash protection does; the session on
  -- disk stays as it is.
  local function present_state ()
    local path = Session:path ():gsub ("/+$", "") .. "/" .. Session:snap_name () .. ".pending"
    local had_one = files.exists (path)
    Session:save_state ("", true, false, false, false, false)
    local text = files.read (path)
    if not had_one then os.remove (path) end
    return text
  end

  --- Points of the curve in `xml`: { { sample, gain }, ... }
  local function points (xml, rate)
    local found = {}
    local events = xml:match ("<events>(.-)</events>") or ""
    local numbers = {}
    for word in events:gmatch ("%S+") do numbers[#numbers + 1] = word end
    for i = 1, #numbers - 1, 2 do
      local time = numbers[i]
      local sample = time:match ("^a(%d+)")
      sample = sample and (tonumber (sample) * rate + SUPERCLOCKS_PER_SECOND // 2) // SUPERCLOCKS_PER_SECOND
        or math.floor (tonumber (time) or 0)
      found[#found + 1] = { sample, tonumber (numbers[i + 1]) or 0 }
    end
    return found
  end

  --- The gain in the middle of the fade, with straight lines between the points.
  local function middle (curve, length)
    for i = 2, #curve do
      local a, b = curve[i - 1], curve[i]
      if 2 * b[1] >= length then
        local share = b[1] > a[1] and (length / 2 - a[1]) / (b[1] - a[1]) or 0
        return a[2] + share * (b[2] - a[2])
      end
    end
    return 1
  end

  --- Of Ardour's five shapes, two have few points; the others' gain in the middle is 0.03, 0.10 and 0.71.
  local function shape (curve, length)
    if #curve <= 2 then return "FadeLinear" end
    if #curve < 20 then return "FadeSymmetric" end
    local gain = middle (curve, length)
    return gain < 0.06 and "FadeFast" or gain < 0.4 and "FadeSlow" or "FadeConstantPower"
  end

  local function fade (node, side, rate)
    local name = side == "in" and "FadeIn" or "FadeOut"
    local xml = node:match ("<" .. name .. ">(.-)</" .. name .. ">")
    local curve = xml and points (xml, rate) or {}
    if #curve < 2 then return nil end
    local length = curve[#curve][1]
    return { shape = shape (curve, length), length = length }
  end

  --- Add `fade_in` and `fade_out` ({ shape, length }) to the described regions that have active ones.
  function M.add (described)
    local wanted = false
    for _, what in ipairs (described) do wanted = wanted or what.fade_in_active or what.fade_out_active end
    if not wanted then return end
    local state = present_state ()
    if not state then
      lib.fail ("The session can't be saved, and without that the regions' fades can't be read. Save it, then try again.")
    end
    for _, what in ipairs (described) do
      local at, node = 1, nil
      while not node do
        local _, stop = state:find (' id="' .. what.id .. '"', at, true)
        if not stop then break end
        -- Other things have ids too: take the tag that this one is in.
        local open = stop
        while state:byte (open) ~= 60 do open = open - 1 end
        if state:find ("^<Region ", open) then
          node = state:sub (open, (state:find ("</Region>", stop, true) or #state))
        end
        at = stop
      end
      if node then what.fade_in, what.fade_out = fade (node, "in", what.rate), fade (node, "out", what.rate) end
    end
  end

  return M
end
