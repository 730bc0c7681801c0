ardour { ["type"] = "EditorAction", name = "test console", license = "GPL", author = "stemfix", description = "" }
-- Runs the chunk that the test put beside the configuration, and writes what it prints. A chunk is taken once: a
-- trigger that comes late finds nothing.
function factory () return function ()
  local folder = ARDOUR.user_config_directory (-1)
  local taken = folder .. "/console-taken.lua"
  if not os.rename (folder .. "/console-in.lua", taken) then return end
  local lines = {}
  local function say (...)
    local words = {}
    for i = 1, select ("#", ...) do words[i] = tostring ((select (i, ...))) end
    lines[#lines + 1] = table.concat (words, "\t")
  end
  local chunk, why = loadfile (taken)
  local ok
  if chunk then ok, why = pcall (chunk, say) end
  if not ok then lines[#lines + 1] = "ERROR " .. tostring (why) end
  local file = io.open (folder .. "/console-out.part", "w")
  file:write (table.concat (lines, "\n"))
  file:close ()
  os.rename (folder .. "/console-out.part", folder .. "/console-out")
end end
